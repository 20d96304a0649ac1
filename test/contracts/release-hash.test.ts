import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, onTestFinished, test } from 'vitest';
import { loadProject } from '../../src/app/load-project.ts';
import { projectFolder, VALID_PROJECT } from '../support/project-folder.ts';

const FILES: Readonly<Record<string, string>> = {
	...VALID_PROJECT,
	'features/ask/prompts/answer.prompt': `${VALID_PROJECT['features/ask/prompts/answer.prompt']}{{>tone}}\n`,
	'features/ask/prompts/_tone.prompt': 'Be brief.\n',
	'features/ask/schemas/output.json': '{"type": "object", "properties": {"answer": {"type": "string"}}}\n',
};
const HASHED = Object.keys(FILES).filter((file) => file.startsWith('features/'));

async function hashOf(
	files: Readonly<Record<string, string | Uint8Array>>,
	env: Record<string, string> = {},
): Promise<string> {
	const { value, problems } = await loadProject(await projectFolder(files), env);
	expect(problems).toEqual([]);
	return value?.releases.get('ask')?.hash ?? '';
}

test('the same files in another folder, written in another order at another time, have the same hash', async () => {
	const dir = await projectFolder(FILES);
	const other = await mkdtemp(join(tmpdir(), 'plimsoll-elsewhere-deeper-'));
	onTestFinished(() => rm(other, { recursive: true, force: true }));
	await cp(dir, other, { recursive: true, preserveTimestamps: false });
	const reversed = Object.fromEntries(Object.entries(FILES).reverse());
	const [a, b] = [await loadProject(dir, {}), await loadProject(other, {})];
	expect(a.value?.releases.get('ask')?.hash).toMatch(/^[0-9a-f]{64}$/);
	expect(b.value?.releases.get('ask')?.hash).toBe(a.value?.releases.get('ask')?.hash);
	expect(await hashOf(reversed)).toBe(a.value?.releases.get('ask')?.hash);
	expect(a.value?.releases.get('ask')?.id).toBe(a.value?.releases.get('ask')?.hash.slice(0, 12));
});

test('the hash of known files is known: it may only change together with the release format', async () => {
	expect(await hashOf(FILES)).toMatchInlineSnapshot(
		`"8d420a5cec864f06ab76dcf7d3ff085c7de2f0a668b3b863423b20b042905dda"`,
	);
});

test('flipping any bit of any file of a feature changes its hash or fails the check', async () => {
	const original = await hashOf(FILES);
	await fc.assert(
		fc.asyncProperty(fc.constantFrom(...HASHED), fc.nat(), fc.nat(7), async (file, position, bit) => {
			const bytes = Buffer.from(FILES[file] ?? '');
			const index = position % bytes.byteLength;
			bytes[index] = (bytes[index] ?? 0) ^ (1 << bit);
			const { value } = await loadProject(await projectFolder({ ...FILES, [file]: bytes }), {});
			expect(value?.releases.get('ask')?.hash ?? 'refused').not.toBe(original);
		}),
		{ numRuns: 150 },
	);
});

test.each([
	['line ends', 'features/ask/contract.yaml', (text: string) => text.replaceAll('\n', '\r\n')],
	['a partial', 'features/ask/prompts/_tone.prompt', (text: string) => `${text} `],
	['a schema', 'features/ask/schemas/output.json', (text: string) => `${text} `],
	[
		'the chunker',
		'plimsoll.yaml',
		(text: string) => text.replace('sources:', 'chunker: {tokens_max: 300}\n    sources:'),
	],
	['the search', 'plimsoll.yaml', (text: string) => text.replace('sources:', 'search: {candidates: 7}\n    sources:')],
	['a folder', 'plimsoll.yaml', (text: string) => text.replace('path: docs', 'path: pages')],
	[
		'the model of its upstream',
		'plimsoll.yaml',
		(text: string) => text.replace('family: extractive', 'family: extractive\n    model: other'),
	],
])('%s changes the hash', async (_, file, edit) => {
	expect(await hashOf({ ...FILES, [file]: edit(FILES[file] ?? '') })).not.toBe(await hashOf(FILES));
});

test('what cannot change an answer does not change the hash', async () => {
	const original = await hashOf(FILES);
	const yaml = FILES['plimsoll.yaml'] ?? '';
	const edits = [
		yaml.replace('path: docs', 'path: ./docs'),
		`# a comment\n${yaml}`,
		`${yaml}server: {port: 1}\n`,
		`${yaml}  unused: {sources: {a: {kind: folder, path: a}}}\n`,
	];
	for (const text of edits) expect(await hashOf({ ...FILES, 'plimsoll.yaml': text })).toBe(original);
	const extra = {
		...FILES,
		'features/ask/README.md': 'x',
		'features/ask/.DS_Store': 'x',
		'features/ask/contract.yaml~': 'x',
	};
	expect(await hashOf(extra)).toBe(original);
});

test('what an upstream’s family alone has changes the hash where it can change an answer', async () => {
	const env = { A: 'a', B: 'b' };
	const of = (lines: string) =>
		hashOf({ ...FILES, 'plimsoll.yaml': FILES['plimsoll.yaml']?.replace('family: extractive', lines) ?? '' }, env);
	const bedrock = (more: string) => of(`family: bedrock\n    model: m\n    region: r\n    ${more}`);
	const base = await bedrock('api_key: {env: A}');
	expect(await bedrock('api_key: {env: B}')).toBe(base);
	expect(await bedrock('access_key_id: {env: A}\n    secret_access_key: {env: B}')).toBe(base);
	const others = [
		bedrock('api_key: {env: A}\n    provider_options: {a: 1}'),
		of(
			'family: bedrock\n    model: m\n    region: r2\n    base_url: https://bedrock-runtime.r.amazonaws.com\n    api_key: {env: A}',
		),
		of('family: ai-sdk\n    model: m\n    package: x'),
		of('family: ai-sdk\n    model: m\n    package: x\n    settings: {a: 1}'),
		of('preset: mistral\n    model: m\n    api_key: {env: A}'),
		of('family: openai-compatible\n    base_url: https://api.mistral.ai/v1\n    model: m\n    api_key: {env: A}'),
	];
	expect(new Set([base, ...(await Promise.all(others))]).size).toBe(7);
});

test('an upstream that is switched on changes the hash; its key, connections and price do not', async () => {
	const off = await hashOf(FILES);
	const on = await hashOf(FILES, { OPENAI_API_KEY: 'a' });
	expect(on).not.toBe(off);
	expect(await hashOf(FILES, { OPENAI_API_KEY: 'b' })).toBe(on);
	expect(await hashOf(FILES, { OPENAI_API_KEY: 'b', OPENAI_BASE_URL: 'http://h/v1' })).not.toBe(on);
	const settled = FILES['plimsoll.yaml']?.replace(
		'model: gpt-test',
		'model: gpt-test\n    connections_max: 3\n    price: {version: v, input_usd_per_million: 1, output_usd_per_million: 1}',
	);
	expect(await hashOf({ ...FILES, 'plimsoll.yaml': settled ?? '' }, { OPENAI_API_KEY: 'a' })).toBe(on);
});

test('a loaded project is frozen all the way down', async () => {
	const { value } = await loadProject(await projectFolder(FILES), {});
	const seen = new Set<unknown>();
	const check = (part: unknown, path: string): void => {
		if (typeof part !== 'object' || part === null || seen.has(part)) return;
		seen.add(part);
		expect(Object.isFrozen(part), path).toBe(true);
		if (part instanceof Map) for (const [key, member] of part) check(member, `${path}.${key}`);
		else for (const [key, member] of Object.entries(part)) check(member, `${path}.${key}`);
	};
	check(value?.config, 'config');
	check(value?.releases, 'releases');
	const releases = value?.releases as Map<string, unknown>;
	expect(() => releases.set('x', 1)).toThrow(TypeError);
});
