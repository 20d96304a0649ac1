import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { json, plimsoll } from '../support/cli-process.ts';
import { projectFolder } from '../support/project-folder.ts';

const WORDS = ['amber', 'birch', 'cedar', 'delta', 'ember', 'fjord', 'grove', 'haven', 'inlet', 'jetty'];

/** Pages that differ in a word, and a question about each. */
function project(): Record<string, string> {
	const pages = WORDS.flatMap((one) => WORDS.slice(0, 3).map((two) => [one, two] as const));
	const files = pages.map(([one, two]): [string, string] => [
		`docs/${one}-${two}.md`,
		`The ${one} harbour lies at the ${two} coast.\n`,
	]);
	const lines = pages.map(([one, two]) =>
		JSON.stringify({ query: `Where is the ${one} harbour at ${two}?`, relevant: { [`${one}-${two}.md`]: 1 } }),
	);
	return {
		...Object.fromEntries(files),
		'queries.jsonl': lines.join('\n'),
		'few.jsonl': lines.slice(0, 5).join('\n'),
		'bad.jsonl': '{"query": "x"}\n',
		'plimsoll.yaml': `# what we measured in spring
upstreams:
  local/extractive: {family: extractive}
embedders:
  builtin: {family: builtin}
collections:
  docs:
    embedder: builtin # for misspellings
    search:
      vector_weight: 0.5 # a guess
    sources:
      manual: {kind: folder, path: docs}
`,
	};
}

test('index tune measures both legs, says whether hybrid helps, and writes what it recommends without touching a comment', async () => {
	const cwd = await projectFolder(project());
	expect((await plimsoll(['ingest', 'docs'], { cwd })).code).toBe(0);
	const told = json(
		await plimsoll(['index', 'tune', 'docs', '--queries', 'queries.jsonl', '--write', '--json'], { cwd }),
	);
	expect(told.queries).toBe(30);
	expect((told.measured as { name: string }[]).map(({ name }) => name)).toEqual(['lexical', 'vector', 'convex', 'rrf']);
	// Every query has its words in one page: a fusion has nothing to gain.
	expect(told).toMatchObject({ recommended: { kind: 'lexical' }, search: { vector_weight: 0 }, written: true });
	const before = project()['plimsoll.yaml'] ?? '';
	expect(await readFile(join(cwd, 'plimsoll.yaml'), 'utf8')).toBe(
		before.replace('vector_weight: 0.5', 'vector_weight: 0'),
	);
}, 300_000);

test.each([
	['few.jsonl', '5 labelled queries say nothing about a weight; 20 are the least'],
	['bad.jsonl', 'Line 1 of the queries'],
])('index tune refuses %s before it searches', async (file, message) => {
	const cwd = await projectFolder(project());
	const refused = await plimsoll(['index', 'tune', 'docs', '--queries', file], { cwd });
	expect(refused).toMatchObject({ code: 2, stderr: expect.stringContaining(message) });
});
