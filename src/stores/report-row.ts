import { z } from 'zod';
import type { VerificationReport } from '../spec/generations.ts';
import type { IngestReport } from '../spec/retrieval.ts';

const count = z.int().min(0);
/** Runs of before it was counted have none. */
const later = count.default(0);
const leftOut = z.array(z.object({ document: z.string(), reason: z.string() }));

export const verificationReport: z.ZodType<VerificationReport> = z.object({
	at: z.int(),
	passed: z.boolean(),
	checks: z.array(
		z.object({
			check: z.string(),
			passed: z.boolean(),
			overrulable: z.boolean(),
			message: z.string(),
			detail: z.json(),
		}),
	),
});

/** What a run of an ingestion reports, as it is stored and sent. */
export const ingestReport: z.ZodType<IngestReport> = z.object({
	runId: z.string(),
	collection: z.string(),
	generation: z.string().nullable(),
	promoted: z.boolean(),
	refused: z.object({ generation: z.string(), verification: verificationReport }).nullable().default(null),
	sources: z.array(
		z.object({
			source: z.string(),
			seen: count,
			new: count,
			changed: count,
			unchanged: count,
			deleted: count,
			quarantined: later,
			failures: later,
			repeated: later,
			unreachable: later,
			kept: later,
			failed: leftOut,
			misfits: leftOut.default([]),
			chunks: count,
			tokens: count,
			seconds: z.number(),
		}),
	),
	embedding: z
		.object({
			calls: count,
			failed: count,
			texts: count,
			tokens: count,
			costMicros: count,
			costSource: z.enum(['reported', 'estimated']),
			costMicrosMax: count.nullable(),
		})
		.nullish(),
});
