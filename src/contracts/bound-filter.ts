import * as z from 'zod';
import { fieldName } from './access-schema.ts';
import { text } from './fields.ts';

const scalar = z.union([z.string().max(4_000), z.number(), z.boolean()]);
const bound = z
	.strictObject({
		input: text(1, 64, { description: 'A variable of the request.' }),
		optional: z
			.boolean()
			.meta({
				description: 'Whether a request without it is not filtered by this; else, which is the default, it is refused.',
			})
			.optional(),
	})
	.meta({ description: 'The value that the request has for a variable.' });

const EXPECTED = 'a value, or {input: name}';
const value = (description: string) =>
	z.union([scalar, bound]).meta({ description, 'x-expected': EXPECTED }).optional();
const values = (description: string) =>
	z
		.union([z.array(scalar).min(1).max(200), bound])
		.meta({ description, 'x-expected': 'a list of values, or {input: name}' })
		.optional();

const condition = z
	.strictObject({
		field: fieldName.meta({ description: 'A field of the collection’s documents.' }),
		equal: value('The value that it has.'),
		one_of: values('The values of which it has one.'),
		any_label: values('The labels of which it has at least one.'),
		from: value('The least number, or the earliest time.'),
		to: value('The greatest number, or the latest time.'),
		present: z.boolean().meta({ description: 'Whether the document has the field.' }).optional(),
	})
	.refine(({ field: _, from, to, ...tests }) => {
		const others = Object.values(tests).filter((test) => test !== undefined).length;
		return others === 1 ? from === undefined && to === undefined : others === 0 && (from ?? to) !== undefined;
	}, 'needs one of equal, one_of, any_label, present, or from and to');

/** `retrieval.filters` of a contract. */
export const boundFilters = z
	.array(condition)
	.max(16)
	.meta({
		description:
			'What passages must be, all of it: a field with `equal`, `one_of`, `any_label`, `from` and `to`, or `present`. A value can be `{input: name}`, a variable of the request.',
		'x-expected': 'a list of conditions such as {field: product, equal: {input: product}}',
	})
	.default([]);

export type BoundCondition = z.output<typeof condition>;

interface Bound {
	readonly input: string;
	readonly optional?: boolean | undefined;
}

export function isBound(value: unknown): value is Bound {
	return typeof value === 'object' && value !== null && 'input' in value;
}
