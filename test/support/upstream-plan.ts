import { seededRandom } from '../../src/base/random.ts';

/** How the double answers one request. Everything left out has the default of a healthy upstream. */
export interface Plan {
	/** Before the headers. */
	readonly latencyMs?: number;
	/** Between the headers and the first token of a stream. */
	readonly firstTokenMs?: number;
	/** Between two chunks of a stream. */
	readonly gapMs?: number;
	/** Into how many chunks the text of a stream is cut; by default one a word. */
	readonly chunks?: number;
	readonly text?: string;
	readonly finishReason?: string;
	/** Null: the answer has no usage. */
	readonly usage?: Record<string, unknown> | null;
	/** An HTTP error, with `error` as its body (an object is wrapped as OpenAI does; a string is sent as HTML). */
	readonly status?: number;
	readonly error?: Record<string, unknown> | string;
	readonly headers?: Record<string, string>;
	/** The exact body, or for a stream the exact bytes, instead of what the double would make. */
	readonly body?: string;
	readonly fault?: Fault;
	/** Where `cut` and `malformed_chunk` strike, in bytes of the body. Default: the middle. */
	readonly atByte?: number;
	/** How many bytes `huge_body` sends. */
	readonly bytes?: number;
}

export type Fault =
	| 'reset'
	| 'silent'
	| 'cut'
	| 'malformed_chunk'
	| 'no_done'
	| 'no_finish_reason'
	| 'html'
	| 'huge_body'
	| 'slow_bytes'
	/** After the last event the connection stays open, without `[DONE]`. */
	| 'hang_at_end';

/** A plan for each request, chosen by seed: the same seed gives the same faults in the same order. */
export function seededPlans(seed: number, weighted: readonly (readonly [weight: number, plan: Plan])[]) {
	const sum = weighted.reduce((so, [weight]) => so + weight, 0);
	return (index: number): Plan => {
		let at = seededRandom(seed * 1_000_003 + index).next() * sum;
		for (const [weight, plan] of weighted) {
			at -= weight;
			if (at < 0) return plan;
		}
		return {};
	};
}

const TEXT = 'The load line of a ship shows how much it may carry in each season and sea.';
const USAGE = {
	prompt_tokens: 20,
	completion_tokens: 17,
	total_tokens: 37,
	prompt_tokens_details: { cached_tokens: 4 },
};
/** An answer, serialised once. */
export interface Prepared {
	readonly headers: Record<string, string | number>;
	readonly plain: Buffer;
	readonly events: readonly string[];
}

export function prepare(plan: Plan): Prepared {
	const text = plan.text ?? TEXT;
	const usage = plan.usage === undefined ? USAGE : plan.usage;
	const finish = plan.fault === 'no_finish_reason' ? null : (plan.finishReason ?? 'stop');
	const common = { id: 'chatcmpl-double', created: 1_750_000_000, model: 'double-1', system_fingerprint: 'fp_double' };
	const message = { role: 'assistant', content: text, refusal: null };
	const plain = Buffer.from(
		plan.body ??
			JSON.stringify({
				...common,
				object: 'chat.completion',
				choices: [{ index: 0, message, logprobs: null, finish_reason: finish }],
				...(usage && { usage }),
			}),
	);
	const headers = { 'content-type': 'application/json', 'content-length': plain.length, ...plan.headers };
	return {
		headers,
		plain,
		events: plan.body === undefined ? events({ plan, text, usage, finish, common }) : [plan.body],
	};
}

function events(answer: {
	plan: Plan;
	text: string;
	usage: Record<string, unknown> | null;
	finish: string | null;
	common: Record<string, unknown>;
}): string[] {
	const { plan, text, usage, finish, common } = answer;
	const event = (choices: unknown[], more: Record<string, unknown> = {}) =>
		`data: ${JSON.stringify({ ...common, object: 'chat.completion.chunk', choices, ...more })}\n\n`;
	const choice = (delta: Record<string, unknown>, finish_reason: string | null) => ({
		index: 0,
		delta,
		logprobs: null,
		finish_reason,
	});
	const list = [event([choice({ role: 'assistant', content: '' }, null)])];
	for (const content of pieces(text, plan.chunks)) list.push(event([choice({ content }, null)]));
	if (finish !== null) list.push(event([choice({}, finish)]));
	if (usage) list.push(event([], { usage }));
	if (plan.fault !== 'no_done' && plan.fault !== 'hang_at_end') list.push('data: [DONE]\n\n');
	return list;
}

function pieces(text: string, count: number | undefined): string[] {
	if (count === undefined) return text.split(/(?<= )/);
	return Array.from({ length: count }, (_, i) => (count > text.length ? `token ${i} ` : part(text, i, count)));
}

function part(text: string, index: number, count: number): string {
	return text.slice(Math.floor((index * text.length) / count), Math.floor(((index + 1) * text.length) / count));
}
