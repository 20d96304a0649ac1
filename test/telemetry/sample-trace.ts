import fc from 'fast-check';
import { ATTEMPT_KINDS, OUTCOMES, type RequestTrace, STAGES } from '../../src/spec/trace.ts';

/** A plain successful request; `fields` replace what a test cares about. */
export function sampleTrace(fields: Partial<RequestTrace> = {}): RequestTrace {
	return {
		request_id: 'req_01jxt21q1wb01t7dvkg4jmzbh2',
		started_at: 1_750_000_000_060,
		tenant_id: 'acme',
		key_id: 'k1',
		user_id_hash: 'ab'.repeat(16),
		feature: 'support-answer',
		release: '0123456789ab',
		variant: 'control',
		flags: {},
		flag_reasons: {},
		prompt_name: 'answer',
		prompt_version: '1.2.0',
		prompt_hash: 'cd'.repeat(32),
		upstream: 'openai/gpt-x',
		model_name: 'gpt-x-2026-10-01',
		provider: 'openai',
		provider_fingerprint: 'fp_44709d6fcb',
		streamed: true,
		tokens_in: 1_803,
		tokens_out: 203,
		tokens_cached: 1_024,
		tokens_cache_written: 0,
		tokens_reasoning: 0,
		cost_usd_micros: 1_237,
		cost_source: 'reported',
		price_version: '2026-11-01',
		latency_ms: 912.25,
		time_to_first_token_ms: 236.5,
		retries: 1,
		client_retries: 0,
		cache_hit: 'none',
		retrieval_collection: 'docs',
		retrieval_generation: 'gen_1',
		retrieval_doc_ids: ['docs/a.md#1', 'docs/b.md#7'],
		retrieval_scores: [0.91234, 0.5],
		guard_verdicts: [
			{ guard: 'schema', verdict: 'pass', reason: null },
			{ guard: 'citations', verdict: 'fail', reason: 'cites [9], which is none of the passages' },
		],
		escalated_from: null,
		degraded: false,
		degraded_reason: null,
		outcome: 'ok',
		error_code: null,
		finish_reason: 'stop',
		steps: [
			{
				seq: 0,
				stage: 'retrieve',
				started_ms: 0.7,
				latency_ms: 13.2,
				outcome: 'ok',
				error_code: null,
				detail: { mode: 'hybrid', hits: 8, lexical_ms: 3.21, vector_ms: null, complete: true },
				attempts: [],
			},
			{
				seq: 1,
				stage: 'generate',
				started_ms: 18,
				latency_ms: 882,
				outcome: 'ok',
				error_code: null,
				detail: {},
				attempts: [
					{
						seq: 0,
						upstream: 'openai/gpt-x',
						model_name: null,
						provider_response_id: null,
						started_ms: 18,
						latency_ms: 300,
						time_to_first_token_ms: null,
						outcome: 'timeout',
						error: 'no first token within 300 ms',
						tokens_in: 0,
						tokens_out: 0,
						cost_usd_micros: 0,
						kind: 'first',
					},
					{
						seq: 1,
						upstream: 'openai/gpt-x',
						model_name: 'gpt-x-2026-10-01',
						provider_response_id: 'chatcmpl-1',
						started_ms: 320,
						latency_ms: 580,
						time_to_first_token_ms: 210.25,
						outcome: 'ok',
						error: null,
						tokens_in: 1_803,
						tokens_out: 203,
						cost_usd_micros: 1_237,
						kind: 'retry',
					},
				],
			},
		],
		...fields,
	};
}

/** An id of the form that base/ids makes, for the `n`-th request of a test at `started_at`. */
export function requestId(startedAt: number, n: number): string {
	const alphabet = '0123456789abcdefghjkmnpqrstvwxyz';
	let head = '';
	for (let at = startedAt; head.length < 10; at = Math.floor(at / 32)) head = alphabet[at % 32] + head;
	return `req_${head}${n.toString().padStart(16, '0')}`;
}

const text = fc.oneof(
	fc.string({ unit: 'binary' }),
	fc.constantFrom('', '\u0000', '\u0000tail', "'; DROP TABLE requests; --", '名前 🙂', '\uFEFF', 'x'.repeat(5_000)),
);
const textOrNull = fc.option(text);
const memberName = text.filter((name) => name !== '__proto__');
const count = fc.oneof(fc.nat(), fc.maxSafeNat());
// JSON has one zero, so that -0 comes back as 0: no trace measures a negative zero.
const real = fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => (Object.is(value, -0) ? 0 : value));

const attempt = fc.record({
	upstream: text,
	model_name: textOrNull,
	provider_response_id: textOrNull,
	started_ms: real,
	latency_ms: real,
	time_to_first_token_ms: fc.option(real),
	outcome: text,
	error: textOrNull,
	tokens_in: count,
	tokens_out: count,
	cost_usd_micros: count,
	kind: fc.constantFrom(...ATTEMPT_KINDS, null),
});

const step = fc.record({
	stage: fc.constantFrom(...STAGES),
	started_ms: real,
	latency_ms: real,
	outcome: fc.constantFrom('ok' as const, 'failed' as const),
	error_code: textOrNull,
	detail: fc.dictionary(memberName, fc.oneof(text, real, fc.boolean(), fc.constant(null)), { noNullPrototype: true }),
	attempts: fc.array(attempt, { maxLength: 3 }).map((all) => all.map((one, seq) => ({ seq, ...one }))),
});

/** Any trace whatever, apart from its id, which the store's user makes unique. */
export const anyTrace: fc.Arbitrary<RequestTrace> = fc.record({
	request_id: text,
	started_at: fc.nat({ max: 4_000_000_000_000 }),
	tenant_id: textOrNull,
	key_id: textOrNull,
	user_id_hash: textOrNull,
	feature: textOrNull,
	release: textOrNull,
	variant: fc.constantFrom('control' as const, null),
	flags: fc.dictionary(memberName, textOrNull, { noNullPrototype: true }),
	flag_reasons: fc.dictionary(memberName, text, { noNullPrototype: true }),
	prompt_name: textOrNull,
	prompt_version: textOrNull,
	prompt_hash: textOrNull,
	upstream: textOrNull,
	model_name: textOrNull,
	provider: textOrNull,
	provider_fingerprint: textOrNull,
	streamed: fc.boolean(),
	tokens_in: count,
	tokens_out: count,
	tokens_cached: count,
	tokens_cache_written: count,
	tokens_reasoning: count,
	cost_usd_micros: count,
	cost_source: fc.constantFrom('reported' as const, 'estimated' as const, null),
	price_version: textOrNull,
	latency_ms: real,
	time_to_first_token_ms: fc.option(real),
	retries: count,
	client_retries: count,
	cache_hit: fc.constant('none' as const),
	retrieval_collection: textOrNull,
	retrieval_generation: textOrNull,
	retrieval_doc_ids: fc.array(text),
	retrieval_scores: fc.array(real),
	guard_verdicts: fc.array(
		fc.record(
			{
				guard: text,
				verdict: fc.constantFrom('pass' as const, 'fail' as const),
				reason: textOrNull,
				repaired: fc.constantFrom('unwrapped' as const, 'syntax' as const),
			},
			{ requiredKeys: ['guard', 'verdict', 'reason'] },
		),
	),
	escalated_from: textOrNull,
	degraded: fc.boolean(),
	degraded_reason: textOrNull,
	outcome: fc.constantFrom(...OUTCOMES),
	error_code: textOrNull,
	finish_reason: textOrNull,
	steps: fc.array(step, { maxLength: 5 }).map((all) => all.map((one, seq) => ({ seq, ...one }))),
});
