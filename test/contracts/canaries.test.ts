import fc from 'fast-check';
import { expect, it } from 'vitest';
import { loadProject } from '../../src/app/load-project.ts';
import { parseCanaries } from '../../src/contracts/canary.ts';
import { formatProblem } from '../../src/spec/problem.ts';
import { projectFolder, VALID_PROJECT } from '../support/project-folder.ts';

const GOOD = '{"id": "hull", "query": "What is on the hull?", "documents": ["a.md"]}';

function problemsOf(text: string): string[] {
	return parseCanaries({ file: 'canaries.jsonl', text }, 'ask').problems.map(formatProblem);
}

it('reads what a canary says, with its feature in front of its id, blank lines and line ends of Windows aside', () => {
	const full = `{"id":"b","query":"q","source":"manual","chunk_text":"a mark","k":3,"filter":{"lang":"en"},"tenant":"acme"}`;
	const read = parseCanaries({ file: 'c.jsonl', text: `${GOOD}\r\n\r\n  \n${full}` }, 'ask');
	expect(read.problems).toEqual([]);
	expect(read.value).toMatchObject([
		{ id: 'ask/hull', documents: ['a.md'], source: null, chunkText: null, k: null, filter: null, tenant: null },
		{ id: 'ask/b', documents: [], source: 'manual', chunkText: 'a mark', k: 3, filter: { lang: 'en' }, tenant: 'acme' },
	]);
	expect(parseCanaries({ file: 'c.jsonl', text: GOOD }, null).value?.[0]?.id).toBe('hull');
});

it('its hash changes with what it asks and what is right, and with nothing else', () => {
	const hashOf = (text: string) => parseCanaries({ file: 'c', text }, null).value?.[0]?.hash;
	expect(hashOf(GOOD.replace('hull"', 'keel"'))).toBe(hashOf(GOOD));
	expect(hashOf(GOOD.replace('a.md', 'b.md'))).not.toBe(hashOf(GOOD));
	expect(hashOf(GOOD.replace('What', 'Where'))).not.toBe(hashOf(GOOD));
});

it.each([
	['an empty file', '', 'canaries.jsonl: holds no canary'],
	['blank lines alone', '\n \n', 'canaries.jsonl: holds no canary'],
	['what is no JSON', `${GOOD}\n{"id": hull}`, 'canaries.jsonl:2:1: is not JSON'],
	['a list', '["a"]', 'canaries.jsonl:1:1'],
	['two of one id', `${GOOD}\n\n${GOOD}`, 'canaries.jsonl:3:1: id: hull is the id of line 1 already'],
	['no answer', '{"id":"a","query":"q"}', 'names neither documents nor chunk_text'],
	['an unknown key', GOOD.replace('"documents"', '"document"'), 'did you mean documents?'],
	['an empty query', GOOD.replace('What is on the hull?', '  '), 'query: is empty'],
	['a query of 100 kB', GOOD.replace('What', 'x'.repeat(100_000)), 'a text of at most 8192 characters'],
	['an id with spaces', GOOD.replace('"hull"', '"the hull"'), 'an id of letters, digits'],
	['a k of none', GOOD.replace('}', ', "k": 0}'), 'k: found 0'],
])('refuses %s, with its line', (_, text, message) => {
	const [first] = problemsOf(text);
	expect(first).toContain(message);
	expect(first?.length).toBeLessThan(1_000);
});

it('tells every problem of a file at once, and never throws, whatever it holds', () => {
	expect(problemsOf(`{}\n${GOOD}\nnonsense\n{"id":"x"}`).length).toBeGreaterThanOrEqual(3);
	fc.assert(
		fc.property(fc.oneof(fc.string({ unit: 'grapheme' }), fc.json()), (line) => {
			const read = parseCanaries({ file: 'c', text: `${GOOD}\n${line}` }, null);
			expect(read.ok || read.problems.every((problem) => problem.file === 'c')).toBe(true);
		}),
	);
});

it('a project’s collections have the canaries of their own file and of the features that retrieve from them', async () => {
	const files = {
		...VALID_PROJECT,
		'plimsoll.yaml':
			VALID_PROJECT['plimsoll.yaml']?.replace('  docs:\n', '  docs:\n    canaries: known/docs.jsonl\n') ?? '',
		'known/docs.jsonl': GOOD,
		'features/ask/canaries.jsonl': GOOD,
	};
	const loaded = await loadProject(await projectFolder(files), {});
	expect(loaded.problems).toEqual([]);
	const ids = loaded.value?.canaries.get('docs')?.groups.map(({ canaries }) => canaries.map(({ id }) => id));
	expect(ids).toEqual([['hull'], ['ask/hull']]);
});

it('names the file and line of a project’s broken canaries, and those that nothing would ask', async () => {
	const yaml = VALID_PROJECT['plimsoll.yaml']?.replace('  docs:\n', '  docs:\n    canaries: known/docs.jsonl\n') ?? '';
	const missing = await loadProject(await projectFolder({ ...VALID_PROJECT, 'plimsoll.yaml': yaml }), {});
	expect(missing.problems.map(formatProblem)).toEqual(['known/docs.jsonl: does not exist']);
	const broken = {
		...VALID_PROJECT,
		'features/ask/canaries.jsonl': `${GOOD}\n{"id": 7, "query": "q", "documents": ["a"]}`,
	};
	const problems = (await loadProject(await projectFolder(broken), {})).problems.map(formatProblem);
	expect(problems[0]).toMatch(/^features\/ask\/canaries\.jsonl:2:\d+: id/);
	const idle = {
		...VALID_PROJECT,
		'features/ask/contract.yaml': 'owner: docs-team\nmodels: {route: [local/extractive]}\n',
		'features/ask/canaries.jsonl': GOOD,
	};
	const [told] = (await loadProject(await projectFolder(idle), {})).problems.map(formatProblem);
	expect(told).toContain('features/ask/canaries.jsonl: checks nothing: ask retrieves nothing');
});

it('canaries and checks of a collection change no release', async () => {
	const hashOf = async (files: Record<string, string>) =>
		(await loadProject(await projectFolder({ ...VALID_PROJECT, ...files }), {})).value?.releases.get('ask')?.hash;
	const yaml = VALID_PROJECT['plimsoll.yaml'] ?? '';
	const checked = yaml.replace('  docs:\n', '  docs:\n    checks: {required: false, k: 3}\n');
	const with_ = await hashOf({ 'features/ask/canaries.jsonl': GOOD, 'plimsoll.yaml': checked });
	expect(with_).toBe(await hashOf({}));
});
