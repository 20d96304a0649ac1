import { z } from 'zod';
import { ratingOf } from '../policy/rating.ts';
import type { FeedbackAsk } from '../runtime/feedback.ts';
import { PlimsollError } from '../spec/errors.ts';
import { type Feedback, RATINGS } from '../spec/feedback.ts';
import type { Caller } from '../spec/identity.ts';
import { checkBody, queryNumber } from './json-body.ts';
import { callerOf, type Exchange, iso, queryParameter, type Route, type TracedExchange } from './route.ts';

const COMMENT_CHARS_MAX = 4_000;
/** What a query of a canary may have. */
const QUESTION_CHARS_MAX = 8_192;
const ANSWER_CHARS_MAX = 20_000;
const PASSAGES_MAX = 50;
const SCORE = 'expected a number from 0 to 1';
const LABEL = 'expected up to 64 letters, digits, dots, colons, hyphens and underscores';

const bounded = (max: number) => {
	const expected = `expected a text of at most ${max} characters`;
	return z.string(expected).max(max, expected).nullish();
};

/** `POST /v1/feedback`. */
export const FeedbackBody = z.strictObject({
	request_id: z.string('expected the x-request-id of a response').min(1).max(200),
	rating: z.enum(['up', 'down'], 'expected up or down').nullish(),
	score: z.number(SCORE).min(0, SCORE).max(1, SCORE).nullish(),
	label: z
		.string(LABEL)
		.regex(/^[A-Za-z0-9][A-Za-z0-9._:-]{0,63}$/, LABEL)
		.nullish(),
	passages: z
		.array(z.string().min(1).max(1_024), 'expected a list of the ids of chunks or documents')
		.max(PASSAGES_MAX, `holds more than ${PASSAGES_MAX} ids`)
		.default([]),
	comment: bounded(COMMENT_CHARS_MAX),
	question: bounded(QUESTION_CHARS_MAX),
	corrected_answer: bounded(ANSWER_CHARS_MAX),
	user: z.string('expected a string of at most 512 characters').max(512).nullish(),
});

/** The rating that applications send. */
export const FEEDBACK_ROUTE: Route = {
	method: 'POST',
	path: '/v1/feedback',
	scope: 'invoke',
	traced: true,
	summary:
		'Rate an earlier request by its id: up, down or a score, with a label, texts and the passages that answer it. The newest rating of each user counts.',
	body: FeedbackBody,
	handle: give,
};

/** Ratings, as operators see them. */
export const FEEDBACK_ROUTES: readonly Route[] = [
	{
		method: 'GET',
		path: '/admin/feedback',
		scope: 'read',
		traced: false,
		summary: 'The latest ratings, newest first. A key with the scope admin sees every tenant’s.',
		body: null,
		query: {
			tenant: 'only of this one; another than the caller’s own needs the scope admin',
			request_id: 'only of this request',
			feature: 'only of this one',
			rating: `only these: ${RATINGS.join(', ')}`,
			limit: 'at most this many, 1 to 1000 (default 100)',
		},
		handle: list,
	},
	{
		method: 'DELETE',
		path: '/admin/feedback',
		scope: 'admin',
		traced: false,
		summary: 'Removes ratings of a tenant for good: of one user, of one request, or all of them.',
		body: null,
		query: {
			tenant: 'whose; needed',
			user: 'only of this one, as the application names the user',
			request_id: 'only of this request',
		},
		handle: remove,
	},
];

/** A rating as clients send it. Throws `request_invalid` unless it has either a rating or a score. */
export function feedbackAsk(body: z.output<typeof FeedbackBody>): FeedbackAsk {
	const { rating = null, score = null } = body;
	if ((rating === null) === (score === null)) {
		throw new PlimsollError('request_invalid', 'rating: expected either rating or score.', { param: 'rating' });
	}
	return {
		requestId: body.request_id,
		score: score ?? (rating === 'up' ? 1 : 0),
		label: body.label ?? null,
		passages: body.passages,
		comment: body.comment || null,
		question: body.question?.trim() ? body.question : null,
		correctedAnswer: body.corrected_answer || null,
		user: body.user ?? null,
	};
}

async function give({ request, parts, context }: TracedExchange): Promise<unknown> {
	const ask = feedbackAsk(checkBody(FeedbackBody, request.body));
	return feedbackReceipt(ask, await parts.runtime.rate(context, ask));
}

/** What whoever rates is told. */
export function feedbackReceipt(ask: FeedbackAsk, kept: Feedback) {
	const texts = (['comment', 'question', 'correctedAnswer'] as const).filter((name) => ask[name] !== null);
	return {
		request_id: kept.requestId,
		rating: ratingOf(kept.score),
		score: kept.score,
		/** Null: it had none. */
		texts_kept: texts.length === 0 ? null : texts.every((name) => kept[name] !== null),
	};
}

const ListQuery = z.object({
	rating: z.enum(RATINGS, `expected one of ${RATINGS.join(', ')}`).nullable(),
	limit: queryNumber(1, 1_000),
});

async function list(exchange: Exchange): Promise<unknown> {
	const { request, parts } = exchange;
	const { rating, limit } = checkBody(ListQuery, {
		rating: queryParameter(request, 'rating'),
		limit: queryParameter(request, 'limit') ?? '100',
	});
	const found = await parts.operator.feedback.list({
		tenantId: tenantOf(callerOf(exchange), queryParameter(request, 'tenant')),
		requestId: queryParameter(request, 'request_id'),
		feature: queryParameter(request, 'feature'),
		rating,
		limit,
	});
	return { feedback: found.map(feedbackRow) };
}

/** Null: every tenant's. Throws `scope_missing` for another tenant's. */
function tenantOf({ scopes, tenantId }: Caller, asked: string | null): string | null {
	if (scopes.includes('admin')) return asked;
	if (asked === null || asked === tenantId) return tenantId;
	throw new PlimsollError('scope_missing', 'Ratings of another tenant need the scope "admin".', { param: 'tenant' });
}

async function remove(exchange: Exchange): Promise<unknown> {
	const { request, parts } = exchange;
	const tenantId = queryParameter(request, 'tenant');
	if (tenantId === null) {
		throw new PlimsollError('request_invalid', 'tenant: expected whose ratings are to go.', { param: 'tenant' });
	}
	const which = { tenantId, requestId: queryParameter(request, 'request_id'), user: queryParameter(request, 'user') };
	return { removed: await parts.operator.feedback.remove(which, callerOf(exchange)) };
}

/** A rating as operators see it. */
export function feedbackRow(one: Feedback) {
	return {
		request_id: one.requestId,
		tenant: one.tenantId,
		rater: one.rater,
		at: iso(one.at),
		rating: ratingOf(one.score),
		score: one.score,
		label: one.label,
		passages: one.passages,
		comment: one.comment,
		question: one.question,
		corrected_answer: one.correctedAnswer,
		feature: one.feature,
		collection: one.collection,
		generation: one.generation,
	};
}
