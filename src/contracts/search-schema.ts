import * as z from 'zod';
import { decimal, integer, MILLISECONDS } from './fields.ts';
import { diversity, rerank } from './rerank-schema.ts';

function legTimeout(description: string) {
	return integer(1, 600_000, {
		description,
		'x-unit': MILLISECONDS,
		'x-default': '`timeout_ms`',
		examples: [500],
	}).optional();
}

/** How a collection is searched. */
export const search = z
	.strictObject({
		fusion: z
			.enum(['convex', 'rrf'])
			.meta({
				description:
					'`convex`: vector_weight × vector + (1 − vector_weight) × lexical, both min-max normalised; `rrf`: the sum of 1 / (rrf_k + rank).',
			})
			.default('convex'),
		vector_weight: decimal(0, 1, {
			description: 'Weight of the vector leg; 0 is BM25 alone.',
			'x-default': '0.3 when the collection names an embedder that is not `builtin`, else 0',
			examples: [0.3],
		}).optional(),
		rrf_k: integer(1, 10_000, { description: 'Constant of reciprocal rank fusion.' }).default(60),
		candidates: integer(1, 10_000, { description: 'Hits that each leg contributes.' }).default(100),
		timeout_ms: integer(1, 600_000, {
			description: 'Each part of a search: a leg, and reading what was found.',
			'x-unit': MILLISECONDS,
		}).default(2_000),
		lexical_timeout_ms: legTimeout('The lexical leg.'),
		vector_timeout_ms: legTimeout('The vector leg, the embedding of the query included.'),
		diversity,
		rerank,
	})
	.prefault({})
	.meta({ description: 'How the collection is searched.' });
