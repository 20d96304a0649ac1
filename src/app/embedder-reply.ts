import { z } from 'zod';

const indexReply = z.object({
	collection: z.string(),
	generation: z.string(),
	space: z.enum(['same', 'alias', 'other', 'unknown']),
	difference: z.string().nullable(),
	message: z.string().nullable(),
	cosine_min: z.number().nullable(),
	on_identity_change: z.enum(['lexical', 'refuse']),
	rebuild: z.object({
		chunks: z.int(),
		tokens: z.int(),
		cost_usd_micros_max: z.int(),
		seconds: z.number().nullable(),
	}),
});

/** An embedder as the gateway tells of it. */
export const embedderReply = z.object({
	embedder: z.string(),
	family: z.string(),
	model: z.string(),
	dimensions: z.int(),
	state: z.enum(['closed', 'open', 'probing', 'off', 'in_process']),
	wait_ms: z.number().nullable(),
	last_error: z.object({ at: z.string(), kind: z.string(), message: z.string() }).nullable(),
	measured_at: z.string().nullable(),
	problem: z.string().nullable(),
	next_check_ms: z.number().nullable(),
	vector_lengths: z.array(z.number()).readonly().nullable(),
	indexes: z.array(indexReply),
});
export type EmbedderReply = z.output<typeof embedderReply>;

export const embeddersReply = z.object({ embedders: z.array(embedderReply) });
