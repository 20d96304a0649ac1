import * as z from 'zod';
import { integer, TOKENS } from './fields.ts';

/** Shared with the check that compares them, where one may be left out. */
export const CHUNK_TOKENS_DEFAULTS = { min: 64, max: 400 };

/** Left out of a release's hash, as it was before it could be set. */
export const HEADER_DEFAULTS = { template: '{title}\n{headings}\n{context}', tokensMax: 128 };

const PLACEHOLDERS = /\{(?!(?:title|headings|context|field\.[^{}]+)\})/;

/** What is searched in front of a chunk. */
const header = z
	.strictObject({
		template: z
			.string()
			.max(1_000)
			.refine((template) => !PLACEHOLDERS.test(template), 'has a placeholder that is not known')
			.meta({
				description:
					'Lines with `{title}`, `{headings}` (joined by ›), `{context}` (such as the header of a table) and `{field.NAME}`. Names that the text holds itself are left out, and lines that say nothing. Empty: no header.',
				'x-expected': '{title}, {headings}, {context} and {field.NAME} as its only placeholders',
				examples: ['{title} › {headings}\n{field.product}'],
			})
			.default(HEADER_DEFAULTS.template),
		tokens_max: integer(1, 2_000, { description: 'A longer header is cut.', 'x-unit': TOKENS }).default(
			HEADER_DEFAULTS.tokensMax,
		),
	})
	.prefault({})
	.meta({ description: 'What is searched and embedded in front of a chunk, and not cited with it.' });

/** How a collection's documents are cut. */
export const chunker = z
	.strictObject({
		kind: z
			.enum(['structure', 'sentences', 'tokens', 'rows', 'code', 'whole'])
			.meta({
				description:
					'`structure` cuts along headings, lists, tables and code; `sentences` into windows of whole sentences; `tokens` into windows of a fixed size; `rows` tables by their rows; `code` source code by functions and classes; `whole` keeps a document in one piece.',
			})
			.default('structure'),
		tokens_max: integer(16, 100_000, {
			description: 'The longest chunk, without its header.',
			'x-unit': TOKENS,
		}).default(CHUNK_TOKENS_DEFAULTS.max),
		tokens_min: integer(0, 100_000, {
			description: 'Shorter chunks join their neighbour where the structure allows; not for `tokens` and `whole`.',
			'x-unit': TOKENS,
		}).default(CHUNK_TOKENS_DEFAULTS.min),
		overlap_tokens: integer(0, 50_000, {
			description:
				'What a chunk repeats of the one before, for `sentences` and `tokens`; less than half of tokens_max.',
			'x-unit': TOKENS,
			'x-default': 'an eighth of tokens_max',
		}).optional(),
		rows_max: integer(1, 100_000, {
			description: 'Rows in one chunk, for `rows`; null: as many as fit.',
		})
			.nullable()
			.default(null),
		header,
	})
	.prefault({})
	.meta({ description: 'How documents are cut.' });
