import { describe, expect, test } from 'vitest';
import { checkOutputSchema } from '../../src/contracts/output-schema.ts';

function check(schema: unknown) {
	const text = JSON.stringify(schema, null, 1);
	return checkOutputSchema({ file: 'schemas/output.json', bytes: Buffer.from(text), text });
}

const nested = (levels: number): unknown => (levels === 0 ? {} : { type: 'array', items: nested(levels - 1) });

describe('an output schema is refused, by name and place,', () => {
	test.each<[string, unknown, string, number]>([
		[
			'that refers to another document',
			{ $ref: 'https://example.com/x.json' },
			'is another document, and nothing is fetched',
			2,
		],
		['that refers to nothing', { $ref: '#/$defs/x' }, 'does not exist', 2],
		['that is endless', { $ref: '#' }, 'refers to itself without an end', 1],
		[
			'that is endless by a détour',
			{ $defs: { a: { allOf: [{ $ref: '#/$defs/b' }] }, b: { $ref: '#/$defs/a' } } },
			'refers to itself without an end',
			1,
		],
		['that is huge', { enum: [1], anyOf: Array.from({ length: 5_001 }, () => ({})) }, 'has more than 5000 parts', 1],
		['that is deep', nested(200), 'is nested deeper than 64 levels', 1],
		['with $dynamicRef', { $dynamicRef: '#x' }, '$dynamicRef is not supported', 2],
		['with unevaluatedItems', { type: 'array', unevaluatedItems: false }, 'unevaluatedItems is not supported', 3],
		['with an $id within', { properties: { a: { $id: 'https://example.com/a' } } }, 'a part with an $id of its own', 4],
		[
			'with half an if beside unevaluatedProperties',
			{ if: true, unevaluatedProperties: false },
			'needs then and else',
			2,
		],
		['with an empty enum', { enum: [] }, 'enum must have non-empty array', 1],
		['with an unknown keyword', { typ: 'string' }, 'typ', 1],
	])('%s', (_what, schema, message, line) => {
		const { problems } = check(schema);
		expect(problems).toHaveLength(1);
		expect(problems[0]).toMatchObject({ file: 'schemas/output.json', message: expect.stringContaining(message) });
		if (line > 1) expect(problems[0]?.line).toBe(line);
	});

	test('with a member named __proto__', () => {
		const text = '{"properties": {"__proto__": {"type": "string"}}}';
		const { problems } = checkOutputSchema({ file: 'x.json', bytes: Buffer.from(text), text });
		expect(problems[0]?.message).toBe('a member named __proto__ is not supported');
	});

	test('but not one whose way back leads through a member or an item, nor one with names like keywords', () => {
		const tree = { type: 'object', properties: { children: { type: 'array', items: { $ref: '#' } } } };
		expect(check(tree).problems).toEqual([]);
		const names = {
			type: 'object',
			properties: { $id: { type: 'string' }, $ref: { type: 'string' }, toString: {}, if: {} },
		};
		expect(check(names).problems).toEqual([]);
	});
});
