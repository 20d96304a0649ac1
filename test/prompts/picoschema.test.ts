import { picoschema } from 'dotprompt';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { inputJsonSchema } from '../../src/prompts/picoschema.ts';

const name = fc.constantFrom('a', 'b', 'item', 'other_name');
const described = (text: string) => fc.constantFrom(text, `${text}, what it is`, `${text}, one, two`);
const scalar = fc.constantFrom('any', 'boolean', 'integer', 'null', 'number', 'string').chain(described);

/** Mappings of fields, `depth` levels deep at most. */
function fields(depth: number): fc.Arbitrary<Record<string, unknown>> {
	const inner = depth > 0 ? fields(depth - 1) : fc.constant({});
	const type = fc.oneof(scalar, inner);
	const plain = fc.tuple(fc.constant(''), type);
	const array = fc.tuple(described('array'), type);
	const object = fc.tuple(described('object'), inner);
	const choice = fc.tuple(
		described('enum'),
		fc.boolean().map((text) => (text ? ['low', 'high'] : [1, null])),
	);
	const field = fc
		.tuple(name, fc.constantFrom('', '?'), fc.oneof(plain, array, object, choice))
		.map(([key, optional, [kind, value]]) => [`${key}${optional}${kind && `(${kind})`}`, value] as const);
	const wildcard = fc.constantFrom([], [['(*)', 'string'] as const]);
	return fc.tuple(fc.array(field, { maxLength: 4 }), wildcard).map((parts) => Object.fromEntries(parts.flat()));
}

test('is translated as the dotprompt package translates it', async () => {
	await fc.assert(
		fc.asyncProperty(fields(3), async (schema) => {
			const problems: string[] = [];
			const ours = inputJsonSchema(JSON.parse(JSON.stringify(schema)), (path, message) =>
				problems.push(`${path.join('.')} ${message}`),
			);
			expect(problems).toEqual([]);
			const reference = await picoschema(JSON.parse(JSON.stringify(schema)));
			// As JSON, because the package sets `required` to undefined where nothing is required.
			expect(JSON.parse(JSON.stringify(ours))).toEqual(JSON.parse(JSON.stringify(reference)));
		}),
		{ numRuns: 300 },
	);
});

test.each([
	{ type: 'object', properties: { a: { type: 'string' } } },
	{ properties: { a: { type: 'string' } }, required: ['a'] },
])('JSON Schema stays as it is: %j', async (schema) => {
	const report = () => expect.unreachable();
	expect(inputJsonSchema(schema, report)).toEqual(await picoschema(schema));
});

test.each([
	[{ a: 5 }, 'a', 'is not a type'],
	[{ a: 'text' }, 'a', 'text is not a type'],
	[{ 'a(list)': 'string' }, 'a(list)', 'list is not a kind of field'],
	[{ 'a(enum)': 'x' }, 'a(enum)', 'is not a list of values'],
	[{ 'a(object)': { b: [] } }, 'a(object).b', 'is not a type'],
	[{ '?': 'string' }, '?', 'is not the name of a field'],
	[{ type: 'array', items: 'string' }, 'type', 'is not the type of a mapping of variables'],
	['string', '', 'is not a schema'],
	[null, '', 'is not a schema'],
])('%j is refused at the place of the mistake', (schema, place, message) => {
	const problems: string[] = [];
	inputJsonSchema(schema, (path, text) => problems.push(`${path.map(String).join('.')}: ${text}`));
	expect(problems).toEqual([`${place}: ${message}`]);
});
