import { generateKeyPairSync } from 'node:crypto';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { generatedFiles, staleFiles } from '../../scripts/generate.ts';
import { exampleOf } from '../../scripts/reference/reference-page.ts';
import { loadProject } from '../../src/app/load-project.ts';
import { compileFlags } from '../../src/contracts/compile-flags.ts';
import { contractJsonSchema, contractSchema } from '../../src/contracts/contract-schema.ts';
import { flagsJsonSchema } from '../../src/contracts/flags-schema.ts';
import { projectJsonSchema, projectSchema } from '../../src/contracts/project-schema.ts';
import { FAILURE_POLICIES } from '../../src/contracts/release.ts';
import { keysBelow, type SchemaNode, valueAt } from '../../src/contracts/schema-node.ts';
import { projectFolder, VALID_PROJECT } from '../support/project-folder.ts';

const MINIMAL_CONTRACT = { owner: 'x', retrieval: { collection: 'docs' }, models: { route: ['local/extractive'] } };
/** What a list, or what is null, is filled with to be compared, by its path. */
const ENTRIES = { equals: [{ upstreams: { 'a/a': 1, 'b/b': 1 } }], hedge: {} };
const MINIMAL_PROJECT = {
	upstreams: { '*': { family: 'openai-compatible', base_url: 'http://h', model: 'm', price: null } },
	collections: { '*': { sources: { '*': { kind: 'folder', path: 'docs' } } } },
};

function documentedDefaults(schema: SchemaNode): [readonly string[], unknown][] {
	return [...keysBelow(schema)]
		.filter(([, node]) => node.default !== undefined && !isEmptyMapping(node.default))
		.map(([path, node]) => [path, node.default]);
}

function isEmptyMapping(value: unknown): boolean {
	return typeof value === 'object' && value !== null && !Array.isArray(value) && Object.keys(value).length === 0;
}

test('every default that the manual states is the one that applies in a contract', () => {
	const applied = contractSchema.parse(MINIMAL_CONTRACT);
	const defaults = documentedDefaults(contractJsonSchema).filter(([path]) => path.join('.') !== 'retrieval');
	expect(defaults.length).toBeGreaterThan(25);
	const models = contractSchema.parse({ ...MINIMAL_CONTRACT, models: { ...MINIMAL_CONTRACT.models, ...ENTRIES } });
	for (const [path, value] of defaults) {
		const at = path.indexOf('[]');
		const place = path.map((key, depth) => (depth === at ? 0 : key));
		const isInside = at !== -1 || path.join('.').startsWith('models.hedge.');
		expect(valueAt(isInside ? models : applied, place), path.join('.')).toEqual(value);
	}
});

test('every default that the manual states is the one that applies in plimsoll.yaml', () => {
	const applied = projectSchema.safeParse(
		JSON.parse(JSON.stringify(MINIMAL_PROJECT).replaceAll('"*"', '"a-a"').replace('"a-a"', '"a/a"')),
	);
	expect(applied.error).toBeUndefined();
	const top = documentedDefaults(projectJsonSchema).filter(
		([path]) => !path.includes('*') && !['flags.provider', 'index_store'].includes(path.slice(0, -1).join('.')),
	);
	const { shape } = projectSchema.shape.flags.unwrap();
	expect(shape.provider.parse({ module: 'm' })).toEqual({ module: 'm', export: 'default', options: null });
	const store = projectSchema.shape.index_store.parse({ kind: 'lancedb' });
	const stated = documentedDefaults(projectJsonSchema.properties?.index_store?.oneOf?.[0] as SchemaNode);
	expect(stated.length).toBeGreaterThan(4);
	for (const [path, value] of stated) expect(valueAt(store, path), path.join('.')).toEqual(value);
	expect(top.length).toBeGreaterThan(9);
	for (const [path, value] of top) expect(valueAt(applied.data, path), path.join('.')).toEqual(value);
	const upstream = projectJsonSchema.properties?.upstreams?.additionalProperties as SchemaNode;
	const variant = upstream.oneOf?.[0] as SchemaNode;
	for (const [path, value] of documentedDefaults(variant)) {
		expect(valueAt(applied.data?.upstreams['a/a'], path), path.join('.')).toEqual(value);
	}
});

test('a silent contract gets the first action that each situation allows', () => {
	const { on_failure: policies } = contractSchema.parse(MINIMAL_CONTRACT);
	for (const [situation, [first]] of Object.entries(FAILURE_POLICIES)) {
		expect(valueAt(policies, [situation])).toBe(first);
	}
});

test('citations default to valid with retrieval and to off without', async () => {
	const citations = async (contract: string) => {
		const files = { ...VALID_PROJECT, 'features/ask/contract.yaml': contract };
		const { value } = await loadProject(await projectFolder(files), {});
		return value?.releases.get('ask')?.contract.guards.citations;
	};
	expect(await citations('owner: x\nretrieval: {collection: docs}\nmodels: {route: [local/extractive]}\n')).toBe(
		'valid',
	);
	expect(await citations('owner: x\nmodels: {route: [local/extractive]}\n')).toBe('off');
});

test('every key says what it does', () => {
	for (const schema of [contractJsonSchema, projectJsonSchema, flagsJsonSchema]) {
		for (const [path, node] of keysBelow(schema)) {
			const described = node.description ?? node.anyOf?.find((option) => option.description)?.description;
			expect(described, path.join('.')).toBeTruthy();
		}
	}
});

test('the complete examples in the manual are valid, together', async () => {
	const page = (path: string) => /```yaml\n([\s\S]*?)```/.exec(generatedFiles().get(path) ?? '')?.[1] ?? '';
	const files = {
		...VALID_PROJECT,
		'plimsoll.yaml': page('docs/reference/configuration.md'),
		'features/ask/contract.yaml': page('docs/reference/contract.md'),
		'features/ask/prompts/answer.prompt': (VALID_PROJECT['features/ask/prompts/answer.prompt'] ?? '').replace(
			'---\n{{role',
			'input:\n  schema:\n    tone?: string\n---\n{{role',
		),
		'features/ask/schemas/output.json': '{"type": "object"}',
		'canaries/docs.jsonl': '{"id": "a", "query": "Who writes?", "documents": ["authors.md"]}\n',
		'issuer-keys.json': JSON.stringify(
			generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({ format: 'jwk' }),
		),
	};
	const secret = 'x'.repeat(32);
	const redis = 'redis://127.0.0.1:6379';
	const vendors = ['OPENAI_API', 'ANTHROPIC_API', 'GEMINI_API', 'COHERE_API', 'MISTRAL_API', 'BEDROCK'];
	const keys = Object.fromEntries(vendors.map((name) => [`${name}_KEY`, 'k']));
	const account = { GOOGLE_CREDENTIALS: '{"client_email": "a", "private_key": "b"}' };
	const env = {
		...keys,
		...account,
		JWT_SECRET: secret,
		SESSION_SECRET: secret,
		FLAGS_SECRET: secret,
		REDIS_URL: redis,
		ALERTS_URL: 'https://alerts.example.org/hook',
		ALERTS_SECRET: secret,
	};
	expect(parse(files['features/ask/contract.yaml'])).toEqual(exampleOf(contractJsonSchema));
	const { problems } = await loadProject(await projectFolder(files), env);
	expect(problems).toEqual([]);
	const flags = page('docs/reference/flags.md');
	expect(parse(flags)).toEqual(exampleOf(flagsJsonSchema));
	expect(compileFlags({ file: 'flags.yaml', text: flags }, ['ask-docs']).problems).toEqual([]);
});

test('generated files are what the code generates', async () => {
	expect(await staleFiles(), 'run node scripts/generate.ts').toEqual([]);
});
