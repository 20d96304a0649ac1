import { type Command, Option } from 'commander';
import type { FeedbackReply } from '../app/feedback-reply.ts';
import { PlimsollError } from '../spec/errors.ts';
import { RATINGS, type Rating } from '../spec/feedback.ts';
import { day } from './key-time.ts';
import { example, inSession, integerBetween, type ServerOptions, withJson, withServer } from './options.ts';
import { oneLine, type Terminal } from './terminal.ts';
import { count } from './units.ts';

interface ListOptions extends ServerOptions {
	readonly tenant?: string;
	readonly request?: string;
	readonly feature?: string;
	readonly rating?: Rating;
	readonly limit: number;
}

interface DeleteOptions extends ServerOptions {
	readonly tenant: string;
	readonly user?: string;
	readonly request?: string;
	readonly all?: true;
}

const STYLES = { up: 'green', down: 'red', neutral: 'dim' } as const;

/** plimsoll feedback */
export function addFeedback(program: Command, terminal: Terminal): void {
	const feedback = program
		.command('feedback')
		.summary('show how answers were rated')
		.description('Shows the ratings that applications sent to POST /v1/feedback, and removes them.');
	const list = feedback
		.command('list', { isDefault: true })
		.description('Shows ratings, newest first, with their texts where the project keeps them.')
		.option('--tenant <name>', 'only of this tenant')
		.option('--request <id>', 'only of this request')
		.option('--feature <name>', 'only of this feature')
		.addOption(new Option('--rating <rating>', 'only these').choices(RATINGS))
		.option('--limit <n>', 'at most this many', integerBetween(1, 1_000), 100)
		.action((options: ListOptions) => listFeedback(options, terminal));
	withJson(withServer(list), 'the ratings as one JSON document');
	example(list, 'plimsoll feedback list --rating down\nplimsoll feedback list --feature ask-docs --json');
	const remove = feedback
		.command('delete')
		.description(
			'Removes ratings for good, as when a user asks for it: of one user, of one request, or all of a tenant.',
		)
		.requiredOption('--tenant <name>', 'whose')
		.option('--user <id>', 'only of this user, as the application names the user')
		.option('--request <id>', 'only of this request')
		.option('--all', 'all of the tenant')
		.action((options: DeleteOptions) => deleteFeedback(options, terminal));
	withJson(withServer(remove), 'how many there were, as one JSON document');
	example(remove, 'plimsoll feedback delete --tenant default --user u-4711');
	example(feedback, 'plimsoll feedback\nplimsoll feedback list --rating down');
}

const NONE = 'No rating that fits is kept. Applications send them to POST /v1/feedback.';

async function listFeedback(options: ListOptions, terminal: Terminal): Promise<void> {
	const { tenant = null, request = null, feature = null, rating = null, limit } = options;
	const query = { tenantId: tenant, requestId: request, feature, rating, limit };
	const found = await inSession(options, terminal, (session) => session.feedback(query));
	if (terminal.json) terminal.record({ feedback: found });
	else if (found.length === 0) terminal.note(NONE);
	else for (const one of found) showFeedback(one, terminal);
}

async function deleteFeedback(options: DeleteOptions, terminal: Terminal): Promise<void> {
	const { tenant, user = null, request = null, all = false } = options;
	if (all === (user !== null || request !== null)) {
		throw new PlimsollError('request_invalid', 'Say which ratings: either --user or --request, or --all.');
	}
	const which = { tenantId: tenant, requestId: request, user };
	const removed = await inSession(options, terminal, (session) => session.removeFeedback(which));
	if (terminal.json) terminal.record({ removed });
	else terminal.line(`${count(removed, 'rating')} of ${oneLine(tenant)} removed.`);
}

/** One rating, on a line with its texts below. */
export function showFeedback(one: FeedbackReply, terminal: Terminal): void {
	const { rating, score, label, feature, collection } = one;
	const what = oneLine(feature ?? (collection === null ? '' : `search ${collection}`));
	terminal.line(
		[
			terminal.paint(STYLES[rating], rating),
			String(Math.round(score * 1_000) / 1_000),
			...(label === null ? [] : [oneLine(label)]),
			terminal.paint('bold', what),
			terminal.paint('dim', `${one.request_id}, ${oneLine(one.tenant)}, ${day(one.at)} UTC`),
		].join('  '),
	);
	const texts = { question: one.question, comment: one.comment, 'should be': one.corrected_answer };
	for (const [name, text] of Object.entries(texts)) if (text !== null) terminal.line(`    ${name}: ${oneLine(text)}`);
	if (one.passages.length > 0) terminal.line(`    answered by: ${oneLine(one.passages.join(', '))}`);
}
