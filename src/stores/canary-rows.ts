import { z } from 'zod';
import { CANARY_RUN_KINDS, type CanaryBaseline, type CanaryRun } from '../spec/canaries.ts';

const outcome = z.strictObject({
	id: z.string(),
	hash: z.string(),
	rank: z.int().min(1).nullable(),
	unanswered: z.string().nullable(),
});

const estimate = z.strictObject({ value: z.number(), low: z.number(), high: z.number() });

const comparison = z.strictObject({
	baseline: z.string(),
	common: z.int(),
	lost: z.int(),
	gained: z.int(),
	recallP: z.number(),
	mrrDrop: z.number(),
	mrrP: z.number(),
	dropped: z.boolean(),
});

export const canaryRun: z.ZodType<CanaryRun> = z.strictObject({
	collection: z.string(),
	kind: z.enum(CANARY_RUN_KINDS),
	at: z.int(),
	generation: z.string(),
	queries: z.int(),
	unanswered: z.int(),
	degraded: z.int(),
	recall: estimate,
	mrr: estimate,
	verdict: z.enum(['passed', 'failed', 'inconclusive']),
	why: z.string(),
	missed: z.array(z.string()),
	comparison: comparison.nullable(),
	approximateRecall: z.number().nullable(),
});

export const canaryBaseline: z.ZodType<CanaryBaseline> = z.strictObject({
	collection: z.string(),
	at: z.int(),
	generation: z.string(),
	outcomes: z.array(outcome),
});
