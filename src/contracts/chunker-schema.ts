import * as z from 'zod';
import { integer, TOKENS } from './fields.ts';

/** Shared with the check that compares the two, one of which may be left out. */
export const CHUNK_TOKENS_DEFAULTS = { min: 64, max: 400 };

/** How a collection's documents are cut. */
export const chunker = z
	.strictObject({
		kind: z
			.enum(['structure', 'whole'])
			.meta({
				description: '`structure` cuts along headings, lists, tables and code; `whole` keeps a document in one piece.',
			})
			.default('structure'),
		tokens_max: integer(16, 100_000, { description: 'The longest chunk.', 'x-unit': TOKENS }).default(
			CHUNK_TOKENS_DEFAULTS.max,
		),
		tokens_min: integer(0, 100_000, {
			description: 'Shorter chunks join their neighbour where the structure allows.',
			'x-unit': TOKENS,
		}).default(CHUNK_TOKENS_DEFAULTS.min),
	})
	.prefault({})
	.meta({ description: 'How documents are cut.' });
