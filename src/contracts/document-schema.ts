import * as z from 'zod';
import { BUILT_IN_FIELDS } from './document-rules.ts';
import { integer, text } from './fields.ts';

/** The most that is kept of a field's text, see retrieval/document-meta. */
export const FIELD_CHARS_MAX = 4_000;

const field = z
	.strictObject({
		type: z.enum(['text', 'number', 'boolean', 'time', 'labels']).meta({
			description:
				'`text` is compared whole; `labels` is a list of texts; `time` is stated as ISO 8601 or RFC 1123. Nothing else is converted: the text "5" is no number.',
		}),
		from: text(1, 100, {
			description: 'The name under which documents state it, with dots where it is nested.',
			examples: ['author.name'],
			'x-default': 'the name of the field',
		}).optional(),
		required: z.boolean().meta({ description: 'Whether a document without it is quarantined.' }).default(false),
		one_of: z
			.array(z.union([z.string().max(FIELD_CHARS_MAX), z.number()]))
			.min(1)
			.max(1_000)
			.meta({ description: 'The only values of a text or number, or labels of a list.' })
			.optional(),
		pattern: text(1, 200, {
			description:
				'A regular expression that the whole text, or each label, matches. Nested repetition, look-around and back-references are refused, because they can take for ever.',
			examples: ['[A-Z]{2}-\\d+'],
		}).optional(),
		min: z
			.union([z.number(), z.string().max(64)])
			.meta({ description: 'The least number, or the earliest time (ISO 8601).', examples: [0] })
			.optional(),
		max: z
			.union([z.number(), z.string().max(64)])
			.meta({ description: 'The greatest number, or the latest time (ISO 8601).', examples: [100] })
			.optional(),
		max_length: integer(1, FIELD_CHARS_MAX, {
			description: 'The longest text or label.',
			'x-unit': 'UTF-16 code units',
		}).default(FIELD_CHARS_MAX),
	})
	.meta({ description: 'One field: a typed column of the index that searches can filter by.' });

const fieldName = z
	.string()
	.regex(/^[a-z][a-z0-9_]{0,63}$/)
	.meta({ 'x-expected': 'a lower-case name of letters, digits and underscores, starting with a letter' });

const language = z
	.string()
	.regex(/^[a-z]{2,3}$/)
	.meta({ 'x-expected': 'a language such as de' });

/** What documents must be. */
export const documentRules = z
	.strictObject({
		fields: z
			.record(fieldName, field)
			.meta({
				description: `What documents state of themselves, by name. ${Object.keys(BUILT_IN_FIELDS).join(', ')} are there without being declared.`,
				'x-expected': 'a mapping of names to fields',
				'x-names': ['product', 'updated'],
			})
			.default({}),
		language: z
			.array(language)
			.min(1)
			.max(100)
			.meta({
				description: 'The only languages, as stated or, where nothing is stated, as detected; null: any.',
				examples: [['en', 'de']],
			})
			.nullable()
			.default(null),
		freshness: z
			.strictObject({
				field: text(1, 64, { description: 'A field of type time, or `updated_at`.', examples: ['updated_at'] }),
				max_age_days: integer(1, 36_500, { description: 'Older documents are quarantined.', 'x-unit': 'days' }),
			})
			.meta({ description: 'How old documents may be; a document without the field is not fresh. Null: any age.' })
			.nullable()
			.default(null),
		title_chars_min: integer(0, 10_000, { description: 'The shortest title.' }).default(0),
		title_chars_max: integer(1, 10_000, { description: 'The longest title.' }).default(10_000),
		text_chars_min: integer(0, 1_000_000_000, { description: 'The shortest text.' }).default(0),
		text_chars_max: integer(1, 1_000_000_000, { description: 'The longest text.' }).default(1_000_000_000),
	})
	.meta({ description: 'What documents must be: one that does not fit is quarantined with its reasons.' });

export type RawDocumentRules = z.output<typeof documentRules>;
