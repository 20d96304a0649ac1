import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { PartialJson } from '../../src/base/partial-json.ts';
import { compileOutputSchema } from '../../src/guards/output-schema.ts';
import { createPartCheck } from '../../src/guards/part-check.ts';
import { ALONE } from '../support/schema-reading.ts';

const SCHEMA = {
	type: 'object',
	required: ['name', 'tags'],
	properties: {
		name: { type: 'string', maxLength: 3 },
		tags: { type: 'array', prefixItems: [{ const: 'x' }], items: { $ref: '#/$defs/tag' }, minItems: 1 },
		'a/b': { allOf: [{ type: 'integer' }, { minimum: 2 }] },
		either: { anyOf: [{ type: 'object', properties: { z: { type: 'null' } } }, { type: 'boolean' }] },
	},
	patternProperties: { '^n_': { type: 'number' } },
	additionalProperties: false,
	$defs: { tag: { type: 'string', enum: ['x', 'y'] } },
};

describe('a value of an unfinished answer', () => {
	const check = createPartCheck(SCHEMA, ALONE);

	test.each<[readonly (string | number)[], unknown]>([
		[['name'], 'abc'],
		[['tags', 0], 'x'],
		[['tags', 1], 'y'],
		[['a/b'], 2],
		[['n_1'], 0.5],
		[['either', 'z'], 'left to the whole'],
	])('at %j may be %j', (path, value) => {
		expect(check(path, value)).toBeNull();
	});

	test.each<[readonly (string | number)[], unknown, string]>([
		[['name'], 'abcd', '/name must NOT have more than 3 characters'],
		[['name'], 7, '/name must be string'],
		[['tags', 0], 'y', '/tags/0 must be equal to constant'],
		[['tags', 1], 'z', '/tags/1 must be equal to one of the allowed values'],
		[['tags'], [], '/tags must NOT have fewer than 1 items'],
		[['a/b'], 1, '/a~1b must be >= 2'],
		[['n_1'], 'x', '/n_1 must be number'],
		[['more'], 1, '/more boolean schema is false'],
		[['either'], 1, '/either must be object'],
		[[], {}, "the whole must have required property 'name'"],
	])('at %j must not be %j', (path, value, reason) => {
		expect(check(path, value)).toContain(reason);
	});
});

test('no value of an answer that the schema lets pass is refused while it is made', () => {
	const value = fc.letrec<{ any: unknown }>((tie) => ({
		any: fc.oneof(
			{ maxDepth: 3 },
			fc.constantFrom<unknown[]>('x', 'y', 'abc', 1, 2, null, true),
			fc.array(tie('any'), { maxLength: 3 }),
			fc.dictionary(fc.constantFrom('name', 'tags', 'a/b', 'either', 'n_1', 'z'), tie('any')),
		),
	})).any;
	const valid = fc.record(
		{
			name: fc.constantFrom('a', 'abc'),
			tags: fc.array(fc.constantFrom('x', 'y')).map((rest) => ['x', ...rest]),
			'a/b': fc.integer({ min: 2 }),
			either: fc.constantFrom<unknown[]>(true, { z: null }, {}),
			n_1: fc.integer(),
		},
		{ requiredKeys: ['name', 'tags'] },
	);
	const [check, whole] = [createPartCheck(SCHEMA, ALONE), compileOutputSchema(SCHEMA, ALONE)];
	fc.assert(
		fc.property(fc.oneof(valid, value), (answer) => {
			const text = JSON.stringify(answer);
			const reasons: (string | null)[] = [];
			new PartialJson((path, part) => reasons.push(check(path, part))).push(`${text} `);
			const refused = reasons.some((reason) => reason !== null);
			// The whole is the last part, so that both always agree.
			expect(refused).toBe(whole(text) !== null);
		}),
	);
});

test('a schema with an $id and a tree is followed', () => {
	const tree = {
		$id: 'https://example.com/tree',
		type: 'object',
		properties: { children: { type: 'array', items: { $ref: '#' } }, size: { type: 'integer' } },
	};
	const check = createPartCheck(tree, ALONE);
	expect(check(['children', 0, 'children', 1, 'size'], 1)).toBeNull();
	expect(check(['children', 0, 'children', 1, 'size'], 'x')).toContain('/children/0/children/1/size must be integer');
});

test('a dynamic reference is followed with what the way to a value went through', () => {
	const list = (kind: object) => ({
		$id: 'https://example.com/numbers',
		$ref: 'list',
		$defs: {
			item: { $dynamicAnchor: 'item', ...kind },
			list: {
				$id: 'list',
				properties: { items: { type: 'array', items: { $dynamicRef: '#item' } } },
				$defs: { item: { $dynamicAnchor: 'item' } },
			},
		},
	});
	const check = createPartCheck(list({ type: 'number' }), ALONE);
	expect(check(['items', 0], 1)).toBeNull();
	expect(check(['items', 0], 'x')).toContain('/items/0 must be number');
});
