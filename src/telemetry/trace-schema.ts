import { z } from 'zod';
import {
	ATTEMPT_KINDS,
	type AttemptTrace,
	OUTCOMES,
	type RequestTrace,
	STAGES,
	type StepTrace,
} from '../spec/trace.ts';

/** What is read from a database file is checked like any other input: the file may be old, foreign or damaged. */
const count = z.int();
const text = z.string();
const ms = z.number();

const attempt = z.object({
	seq: count,
	upstream: text,
	model_name: text.nullable(),
	provider_response_id: text.nullable(),
	started_ms: ms,
	latency_ms: ms,
	time_to_first_token_ms: ms.nullable(),
	outcome: text,
	error: text.nullable(),
	tokens_in: count,
	tokens_out: count,
	cost_usd_micros: count,
	// A file that an older release wrote and that is only read has none, as below.
	kind: z.enum(ATTEMPT_KINDS).nullable().default(null),
}) satisfies z.ZodType<AttemptTrace>;

const step = z.object({
	seq: count,
	stage: z.enum(STAGES),
	started_ms: ms,
	latency_ms: ms,
	outcome: z.enum(['ok', 'failed']),
	error_code: text.nullable(),
	detail: z.record(text, z.union([text, z.number(), z.boolean(), z.null()])),
	attempts: z.array(attempt),
}) satisfies z.ZodType<StepTrace>;

export const requestSummary = z.object({
	request_id: text,
	started_at: count,
	tenant_id: text.nullable(),
	key_id: text.nullable(),
	user_id_hash: text.nullable(),
	feature: text.nullable(),
	release: text.nullable(),
	variant: z.literal('control').nullable(),
	// A file that an older release wrote, and that is only read, has none.
	flags: z.record(text, text.nullable()),
	flag_reasons: z.record(text, text),
	prompt_name: text.nullable(),
	prompt_version: text.nullable(),
	prompt_hash: text.nullable(),
	upstream: text.nullable(),
	model_name: text.nullable(),
	provider: text.nullable(),
	provider_fingerprint: text.nullable(),
	streamed: z.boolean(),
	tokens_in: count,
	tokens_out: count,
	tokens_cached: count,
	tokens_cache_written: count.default(0),
	tokens_reasoning: count.default(0),
	cost_usd_micros: count,
	cost_source: z.enum(['reported', 'estimated']).nullable(),
	price_version: text.nullable(),
	latency_ms: ms,
	time_to_first_token_ms: ms.nullable(),
	retries: count,
	// A file that an older release wrote and that is only read has none.
	client_retries: count.default(0),
	cache_hit: z.literal('none'),
	retrieval_collection: text.nullable(),
	retrieval_generation: text.nullable(),
	retrieval_doc_ids: z.array(text),
	retrieval_scores: z.array(z.number()),
	guard_verdicts: z.array(
		z.object({
			guard: text,
			verdict: z.enum(['pass', 'fail']),
			reason: text.nullable(),
			repaired: z.enum(['unwrapped', 'syntax']).optional(),
		}),
	),
	escalated_from: text.nullable(),
	degraded: z.boolean(),
	degraded_reason: text.nullable(),
	outcome: z.enum(OUTCOMES),
	error_code: text.nullable(),
	finish_reason: text.nullable(),
}) satisfies z.ZodType<Omit<RequestTrace, 'steps'>>;

/** One request without its steps, as listings show it. */
export type RequestSummary = z.infer<typeof requestSummary>;

export const requestTrace = requestSummary.extend({ steps: z.array(step) }) satisfies z.ZodType<RequestTrace>;

export const featureStats = z.object({
	feature: text,
	requests: count,
	failed: count,
	degraded: count,
	retries: count,
	client_retries: count,
	latency_ms_p50: ms,
	latency_ms_p95: ms,
	time_to_first_token_ms_p95: ms.nullable(),
	cost_usd_micros: count,
});
