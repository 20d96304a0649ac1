import { z } from 'zod';
import { CANARY_RUN_KINDS, SUGGESTION_METHODS, TRAFFIC_REASONS, UNUSED_REASONS } from '../spec/canaries.ts';

const estimate = z.object({ value: z.number(), low: z.number(), high: z.number() });

export const canaryRunReply = z.object({
	collection: z.string(),
	kind: z.enum(CANARY_RUN_KINDS),
	at: z.string(),
	generation: z.string(),
	queries: z.int(),
	unanswered: z.int(),
	degraded: z.int(),
	recall: estimate,
	mrr: estimate,
	verdict: z.enum(['passed', 'failed', 'inconclusive']),
	why: z.string(),
	missed: z.array(z.string()).readonly(),
	comparison: z
		.object({
			baseline: z.string(),
			common: z.int(),
			lost: z.int(),
			gained: z.int(),
			recall_p: z.number(),
			mrr_drop: z.number(),
			mrr_p: z.number(),
			dropped: z.boolean(),
		})
		.nullable(),
	approximate_recall: z.number().nullable(),
});
export type CanaryRunReply = z.output<typeof canaryRunReply>;

export const canaryRunsReply = z.object({ runs: z.array(canaryRunReply) });

const canaryHealth = z.object({
	collection: z.string(),
	status: z.enum(['no_index', 'empty', 'pending', 'failing', 'passing', 'unchecked']),
	required: z.boolean(),
	why: z.string().nullable(),
	last_run: canaryRunReply.nullable(),
});
export type CanaryHealthReply = z.output<typeof canaryHealth>;

export const canariesReply = z.object({ collections: z.array(canaryHealth) });

export const suggestionsReply = z.object({
	collection: z.string(),
	generation: z.string(),
	seed: z.int(),
	k: z.int(),
	documents: z.int(),
	cut_short: z.boolean(),
	suggestions: z
		.array(
			z.object({
				canary: z.object({
					id: z.string(),
					query: z.string(),
					documents: z.array(z.string()).readonly(),
					source: z.string().optional(),
					tenant: z.string().optional(),
				}),
				title: z.string(),
				method: z.enum(SUGGESTION_METHODS),
				rank: z.int(),
				traffic: z.object({ tenant: z.string(), request_id: z.string(), up: z.int(), down: z.int() }).nullable(),
			}),
		)
		.readonly(),
	unused: z.record(z.enum(UNUSED_REASONS), z.int()),
	traffic: z
		.object({ tenant: z.string(), questions: z.int(), unused: z.record(z.enum(TRAFFIC_REASONS), z.int()) })
		.nullable(),
});
export type SuggestionsReply = z.output<typeof suggestionsReply>;
