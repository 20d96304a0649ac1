import { mayCall } from '../policy/access.ts';
import { ratingOf } from '../policy/rating.ts';
import { PlimsollError } from '../spec/errors.ts';
import type { Feedback, FeedbackDesk, RatedRequest } from '../spec/feedback.ts';
import type { Caller } from '../spec/identity.ts';
import type { Places } from './places.ts';
import type { RequestContext } from './request-context.ts';
import { takePlace } from './take-place.ts';

/** What a caller says about a request. */
export interface FeedbackAsk
	extends Pick<Feedback, 'requestId' | 'score' | 'label' | 'passages' | 'comment' | 'question' | 'correctedAnswer'> {
	/** Who rates, as the client names them; stored as a keyed hash. Null: whoever the rated request was of. */
	readonly user: string | null;
}

interface FeedbackParts {
	readonly feedback: FeedbackDesk;
	readonly places: Places;
	readonly clock: { now(): number };
}

/** A rating has no contract: this is its deadline, milliseconds. */
const FEEDBACK_MS_MAX = 10_000;

/**
 * Takes the rating of an earlier request of the caller's tenant, on disk when it resolves with what was kept. Throws
 * `trace_not_found` alike for requests that are unknown, of another tenant, or of a feature that the caller may not call.
 */
export function rate(context: RequestContext, ask: FeedbackAsk, parts: FeedbackParts): Promise<Feedback> {
	context.startDeadline(FEEDBACK_MS_MAX, false);
	const { caller, trace } = context;
	return context.step('respond', async (notes) => {
		await takePlace(context, parts.places, notes);
		const rated = await parts.feedback.find(ask.requestId, caller.tenantId);
		context.throwIfOver();
		if (rated === null || !mayRate(caller, rated)) throw notFound(ask.requestId);
		const { feature, collection, generation, chunks } = rated;
		const { user: _, ...said } = ask;
		const kept = await parts.feedback.put({
			...said,
			tenantId: caller.tenantId,
			rater: trace.user_id_hash ?? rated.userHash ?? raterOf(caller),
			at: parts.clock.now(),
			...{ feature, collection, generation, chunks },
		});
		notes.detail.rated_request = ask.requestId;
		notes.detail.rated_feature = feature;
		notes.detail.rating = ratingOf(kept.score);
		return kept;
	});
}

/** Who may call what answered may rate it; a search alone is for callers that are held to no features. */
function mayRate(caller: Caller, { feature, upstream }: RatedRequest): boolean {
	const name = feature ?? upstream;
	return name === null ? caller.features === null : mayCall(caller, name);
}

function raterOf({ keyId }: Caller): string {
	return keyId === null ? 'process' : `key:${keyId}`;
}

function notFound(requestId: string): PlimsollError {
	const message = `No request with the id "${requestId.slice(0, 100)}" that has ended is known to this caller.`;
	return new PlimsollError('trace_not_found', message, { param: 'request_id' });
}
