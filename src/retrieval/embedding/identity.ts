import { z } from 'zod';

/** An embedder's identity as manifests and records keep it. */
export const identitySchema = z.strictObject({
	provider: z.string(),
	model: z.string(),
	revision: z.string(),
	dimensions: z.int().min(1),
	normalised: z.boolean(),
	queryPrefix: z.string(),
	documentPrefix: z.string(),
	queryType: z.string().optional(),
	documentType: z.string().optional(),
	tokensMax: z.int().min(1),
});
