import * as z from 'zod';
import { BUILT_IN_FIELDS } from './document-rules.ts';
import { integer, text } from './fields.ts';

/** The most that is kept of a field's text, see retrieval/document-meta. */
export const FIELD_CHARS_MAX = 4_000;

const from = text(1, 100, {
	description: 'The name under which documents state it, with dots where it is nested.',
	examples: ['author.name'],
	'x-default': 'the name of the field',
}).optional();
const required = z.boolean().meta({ description: 'Whether a document without it is quarantined.' }).default(false);
const texts = z
	.array(z.string().max(FIELD_CHARS_MAX))
	.min(1)
	.max(1_000)
	.meta({ description: 'The only values.', examples: [['AB-1', 'CD-2']] })
	.optional();
const pattern = text(1, 200, {
	description:
		'A regular expression that the whole text, or each label, matches. Nested repetition, look-around and back-references are refused, because they can take for ever.',
	examples: ['[A-Z]{2}-\\d+'],
}).optional();
const maxLength = integer(1, FIELD_CHARS_MAX, {
	description: 'The longest text or label.',
	'x-unit': 'UTF-16 code units',
}).default(FIELD_CHARS_MAX);
const number = (description: string, example: number) =>
	z
		.number()
		.meta({ description, examples: [example] })
		.optional();
const instant = (description: string, example: string) =>
	z
		.string()
		.max(64)
		.meta({ description, examples: [example], 'x-expected': 'an instant such as 2024-01-31' })
		.optional();

const field = z
	.discriminatedUnion('type', [
		z.strictObject({
			type: z.literal('text').meta({ description: 'Text that is compared whole.' }),
			from,
			required,
			one_of: texts,
			pattern,
			max_length: maxLength,
		}),
		z.strictObject({
			type: z.literal('number').meta({ description: 'A number; the text "5" is none.' }),
			from,
			required,
			one_of: z
				.array(z.number())
				.min(1)
				.max(1_000)
				.meta({ description: 'The only values.', examples: [[1, 2]] })
				.optional(),
			min: number('The least number.', 0),
			max: number('The greatest number.', 100),
		}),
		z.strictObject({ type: z.literal('boolean').meta({ description: 'True or false.' }), from, required }),
		z.strictObject({
			type: z.literal('time').meta({ description: 'An instant, as ISO 8601 or RFC 1123.' }),
			from,
			required,
			min: instant('The earliest instant.', '2015-01-01'),
			max: instant('The latest instant.', '2035-01-01'),
		}),
		z.strictObject({
			type: z.literal('labels').meta({ description: 'A list of texts.' }),
			from,
			required,
			one_of: texts,
			pattern,
			max_length: maxLength,
		}),
	])
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
				'x-names': ['tenant', 'price', 'public', 'released', 'readers'],
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
				max_age_days: integer(1, 36_500, {
					description: 'Older documents are quarantined.',
					'x-unit': 'days',
					examples: [365],
				}),
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
