import { z } from 'zod';
import type { Description } from '../spec/description.ts';

const live = z.object({
	generation: z.string(),
	hash: z.string().nullable(),
	built: z.unknown(),
	documents: z.int(),
	chunks: z.int(),
	statistics: z.unknown(),
	checks_failed: z.array(z.string()).readonly().nullable(),
});

/** What a server says that its deployment is. */
export const descriptionReply = z.object({
	version: z.string(),
	features: z.record(
		z.string(),
		z.object({
			release: z.string(),
			prompt_version: z.string().nullable(),
			route: z.array(z.string()).readonly(),
			collection: z.string().nullable(),
		}),
	),
	upstreams: z.record(
		z.string(),
		z.object({ family: z.string(), model: z.string().nullable(), available: z.boolean() }),
	),
	embedders: z.record(z.string(), z.object({ family: z.string(), model: z.string().nullable(), dimensions: z.int() })),
	collections: z.record(z.string(), z.object({ settings: z.unknown(), live: live.nullable() })),
}) satisfies z.ZodType<Description>;
