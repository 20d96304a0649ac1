import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { loadProject } from '../../src/app/load-project.ts';
import { fitSchema } from '../../src/contracts/fit-schema.ts';
import { DIALECT_RULES, SCHEMA_DIALECTS, type SchemaDialectName } from '../../src/contracts/schema-dialect.ts';
import { compileOutputSchema } from '../../src/guards/output-schema.ts';
import { projectFolder, VALID_PROJECT } from '../support/project-folder.ts';
import { ALONE } from '../support/schema-reading.ts';

const object = (properties: Record<string, unknown>, more: Record<string, unknown> = {}) => ({
	type: 'object',
	properties,
	required: Object.keys(properties),
	additionalProperties: false,
	...more,
});
const fitInto = (schema: Record<string, unknown>, dialect: SchemaDialectName) =>
	fitSchema(schema, DIALECT_RULES[dialect]);
const barred = (schema: Record<string, unknown>, dialect: SchemaDialectName) =>
	fitInto(schema, dialect).barred.map(({ path, what }) => `${path.join('.')}: ${what}`);

describe('a schema in OpenAI’s subset', () => {
	test('goes through as it is', () => {
		const schema = object({
			a: { type: 'string' },
			b: { type: 'array', items: object({ c: { enum: ['x'], type: 'string' } }) },
		});
		expect(fitInto(schema, 'openai')).toEqual({ schema, dropped: [], barred: [] });
	});

	test('loses what only narrows, each by its place', () => {
		const { schema, dropped } = fitInto(object({ a: { type: 'string', pattern: '^x', minLength: 2 } }), 'openai');
		expect(schema).toEqual(object({ a: { type: 'string' } }));
		expect(dropped.map(({ path }) => path.join('.'))).toEqual(['properties.a.pattern', 'properties.a.minLength']);
	});

	test('is closed where it says nothing of further members', () => {
		const { additionalProperties: _, ...open } = object({ a: { type: 'string' } });
		expect(fitInto(open, 'openai').schema).toEqual(object({ a: { type: 'string' } }));
	});

	test('turns one of several into any of several, and takes a type from the values', () => {
		const schema = object({ a: { oneOf: [{ const: 'x' }, { type: 'null' }] } });
		expect(fitInto(schema, 'openai').schema).toEqual(
			object({ a: { anyOf: [{ const: 'x', type: 'string' }, { type: 'null' }] } }),
		);
	});

	test.each([
		[
			'an optional property',
			object({ a: { type: 'string' } }, { required: [] }),
			'properties.a: is a property that is not required',
		],
		[
			'free members',
			{ type: 'object', additionalProperties: { type: 'string' } },
			': is an object whose members have no names',
		],
		['another root', { type: 'array', items: { type: 'string' } }, ': is not an object as a whole'],
		['no type', object({ a: {} }), 'properties.a: says nothing of its type'],
		[
			'a reference out of $defs',
			object({ a: { $ref: '#/properties/b' }, b: { type: 'string' } }),
			'properties.a.$ref: is a reference to something else than a definition under $defs',
		],
	])('is not what a schema has with %s', (_what, schema, why) => {
		expect(barred(schema, 'openai')).toEqual([why]);
	});
});

test('a schema that refers to itself can be told to some and not to others', () => {
	const tree = object({ children: { type: 'array', items: { $ref: '#' } } });
	expect(Object.fromEntries(SCHEMA_DIALECTS.map((name) => [name, fitInto(tree, name).schema !== null]))).toEqual({
		openai: true,
		grammar: true,
		anthropic: false,
		google: false,
	});
	const twice = { ...object({ a: { $ref: '#/$defs/x' }, b: { $ref: '#/$defs/x' } }), $defs: { x: { type: 'string' } } };
	expect(fitInto(twice, 'anthropic').schema).not.toBeNull();
});

test('what a provider is held to lets every answer through that is closed and satisfies the contract’s schema', () => {
	const leaf = fc.constantFrom<Record<string, unknown>[]>(
		{ type: 'string', minLength: 1 },
		{ type: 'integer', minimum: 0 },
		{ enum: ['x', 1, null] },
		{ const: 'x' },
		{ type: ['boolean', 'null'] },
		{ oneOf: [{ type: 'integer' }, { type: 'string' }] },
	);
	const { schema: schemas } = fc.letrec<{ schema: Record<string, unknown> }>((tie) => ({
		schema: fc.oneof(
			{ maxDepth: 3 },
			leaf,
			tie('schema').map((items) => ({ type: 'array', items, maxItems: 2, uniqueItems: true })),
			fc.dictionary(fc.constantFrom('a', 'b'), tie('schema'), { minKeys: 1 }).map((properties) => object(properties)),
		),
	}));
	const value = fc.letrec<{ value: unknown }>((tie) => ({
		value: fc.oneof(
			{ maxDepth: 3 },
			fc.constantFrom<unknown[]>('x', 'y', 1, -1, true, null),
			fc.array(tie('value'), { maxLength: 2 }),
			fc.dictionary(fc.constantFrom('a', 'b'), tie('value')),
		),
	})).value;
	fc.assert(
		fc.property(
			schemas,
			fc.constantFrom(...SCHEMA_DIALECTS),
			fc.array(value, { maxLength: 20 }),
			(schema, name, values) => {
				const { schema: fitted } = fitInto(schema, name);
				if (fitted === null) return;
				const [wanted, sent] = [compileOutputSchema(schema, ALONE), compileOutputSchema(fitted, ALONE)];
				for (const one of values) {
					const text = JSON.stringify(one);
					if (wanted(text) === null) expect(sent(text)).toBeNull();
				}
			},
		),
		{ numRuns: 60 },
	);
});

describe('a contract with an output schema', () => {
	const SCHEMA = JSON.stringify(object({ code: { type: 'string', pattern: '^[A-Z]+$' } }), null, 2);
	const files = (more: string, schema = SCHEMA) => ({
		...VALID_PROJECT,
		'features/ask/contract.yaml': `${VALID_PROJECT['features/ask/contract.yaml']}guards:\n  output_schema: schemas/output.json\n  citations: 'off'\n${more}`,
		'features/ask/schemas/output.json': schema,
	});
	const load = async (more: string, schema?: string) => {
		const { value, problems } = await loadProject(await projectFolder(files(more, schema)), { OPENAI_API_KEY: 'k' });
		expect(problems).toEqual([]);
		return { structured: value?.releases.get('ask')?.contract.guards.structured, notes: value?.notes ?? [] };
	};

	test('holds the upstreams that it can, asks the others in the prompt, and says what is not told, with its place', async () => {
		const { structured, notes } = await load('');
		expect(structured?.formats['openai/default']?.responseFormat).toMatchObject({
			type: 'json_schema',
			json_schema: { name: 'ask', strict: true, schema: object({ code: { type: 'string' } }) },
		});
		expect(structured?.formats['openai/default']?.tokens).toBeGreaterThan(10);
		expect(Object.keys(structured?.formats ?? {})).toEqual(['openai/default']);
		// local/extractive cannot be held to anything.
		expect(structured?.instruction).toContain('"pattern":"^[A-Z]+$"');
		expect(notes).toMatchObject([
			{ file: 'features/ask/schemas/output.json', line: 6, field: 'properties.code.pattern' },
		]);
		expect(notes[0]?.message).toContain('is not told to openai/default');
	});

	test('asks in the prompt where an upstream cannot be held to it, and says why', async () => {
		const { structured, notes } = await load('', '{"type": "array", "items": {"type": "string"}}');
		expect(structured).toMatchObject({ formats: {}, instruction: expect.stringContaining('{"type":"array"') });
		expect(notes.map(({ message }) => message)).toEqual([
			'is not an object as a whole, which openai/default cannot be told: the prompt asks for the schema',
		]);
	});

	test('asks as the contract says', async () => {
		expect((await load('  structured_output: prompt\n')).structured).toMatchObject({ formats: {} });
		expect((await load("  structured_output: 'off'\n")).structured).toBeNull();
	});
});
