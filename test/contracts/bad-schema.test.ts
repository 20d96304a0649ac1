import { describe, expect, test } from 'vitest';
import { checkOutputSchema, schemaDocuments } from '../../src/contracts/output-schema.ts';
import type { SourceFile } from '../../src/contracts/source-file.ts';

function check(schema: unknown, formats: 'assertion' | 'annotation' = 'assertion') {
	const files = new Map(
		Object.entries({ 'schemas/output.json': schema, 'schemas/part.json': { $defs: { a: { type: 'string' } } } }).map(
			([file, one]) => {
				const text = JSON.stringify(one, null, 1);
				return [file, { file, bytes: Buffer.from(text), text }];
			},
		),
	);
	const path = 'schemas/output.json';
	return checkOutputSchema(files.get(path) as SourceFile, { path, documents: schemaDocuments(files), formats });
}

const nested = (levels: number): unknown => (levels === 0 ? {} : { type: 'array', items: nested(levels - 1) });

describe('an output schema is refused, by name and place,', () => {
	test.each<[string, unknown, string, number]>([
		[
			'that refers to another document',
			{ $ref: 'https://example.com/x.json' },
			'is not known, and nothing is fetched',
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
		['that refers to a part of its neighbour that is none', { $ref: 'part.json#/$defs/b' }, 'does not exist', 2],
		['that refers to a file that is none', { $ref: 'parts.json' }, 'is not known, and nothing is fetched', 2],
		['with a $dynamicRef to nothing', { $dynamicRef: '#x' }, '"#x" does not exist', 2],
		['that is endless by $dynamicRef', { $dynamicAnchor: 'x', $dynamicRef: '#x' }, 'refers to itself', 1],
		[
			'with two parts of one address',
			{ $defs: { a: { $id: 'b' }, c: { $id: 'b' } } },
			'two schemas have the address',
			1,
		],
		[
			'with two parts of one anchor',
			{ $defs: { a: { $anchor: 'b' }, c: { $anchor: 'b' } } },
			'two parts have the anchor',
			1,
		],
		['of another draft', { $schema: 'http://json-schema.org/draft-07/schema#' }, 'the dialect', 1],
		['with an unknown keyword', { properties: { a: { typ: 'string' } } }, 'typ is not a keyword', 4],
		['with a keyword of an older draft', { dependencies: {} }, 'dependencies is not a keyword', 2],
		['with a limit below zero', { minLength: -1 }, 'is not valid JSON Schema: must be >= 0', 2],
		['with an unknown format', { format: 'dat' }, 'the format "dat" is not known', 2],
		['with a pattern that is none', { pattern: '(' }, '"(" is not a regular expression', 1],
	])('%s', (_what, schema, message, line) => {
		const { problems } = check(schema);
		expect(problems).toHaveLength(1);
		expect(problems[0]).toMatchObject({ file: 'schemas/output.json', message: expect.stringContaining(message) });
		if (line > 1) expect(problems[0]?.line).toBe(line);
	});

	test('but not one that refers to its neighbour, of which the release then has what it needs', () => {
		const { value, problems } = check({ $ref: 'part.json#/$defs/a' });
		expect(problems).toEqual([]);
		expect(value?.reading.documents).toEqual({ 'plimsoll:///schemas/part.json': { $defs: { a: { type: 'string' } } } });
	});

	test('but not one whose format is unknown where formats assert nothing', () => {
		expect(check({ format: 'colour' }, 'annotation').problems).toEqual([]);
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
