import { expect, it, onTestFinished } from 'vitest';
import { parseCanaries } from '../../src/contracts/canary.ts';
import type { CanarySet } from '../../src/contracts/canary-set.ts';
import { suggestionsRow } from '../../src/gateway/canary-routes.ts';
import { runCanaries } from '../../src/retrieval/canary-run.ts';
import { collection, folderSource, openRetrievalFixture, retrievalConfig } from '../support/retrieval-fixture.ts';

const THINGS = ['anchor', 'bilge', 'capstan', 'davit', 'ensign', 'fender', 'gunwale', 'halyard', 'jetty', 'keelson'];
const MAKERS = [
	'Norwegian',
	'Danish',
	'Scottish',
	'Breton',
	'Basque',
	'Genoese',
	'Maltese',
	'Cretan',
	'Turkish',
	'Dutch',
];
const METALS = ['bronze', 'copper', 'hemp', 'canvas', 'walnut', 'granite', 'leather', 'silver', 'cotton', 'marble'];

function page(thing: string, at: number): string {
	return `# The ${thing}

This page of the handbook says what everybody on board should know of it, and whom they should ask when it says too little.

## Caring for ${METALS[at]} parts

The crew of every ship must inspect the ${thing} with ${MAKERS[at]} tools before it leaves, because ${METALS[at]} wears out early.
`;
}

function setOf(lines: readonly object[] = []): CanarySet {
	const text = lines.map((line) => JSON.stringify(line)).join('\n');
	const canaries = lines.length === 0 ? [] : (parseCanaries({ file: 'c', text }, null).value ?? []);
	return {
		collection: 'docs',
		checks: { required: true, everyMs: 900_000, k: 5, recallMin: 0.8, sample: 200, alpha: 0.001 },
		groups: canaries.length === 0 ? [] : [{ feature: null, k: 5, recallMin: 0.8, canaries }],
	};
}

/** Two folders of a real index: half of the pages in each, and whatever else a test writes. */
async function setUp(more: Record<string, string> = {}) {
	const fixture = await openRetrievalFixture((dir) => {
		const sources = ['harbour', 'yard'].map((name) => folderSource(`${dir}/${name}`, { name }));
		return retrievalConfig([collection(sources)]);
	});
	onTestFinished(() => fixture.close());
	const pages = THINGS.map((thing, at) => [`${at % 2 === 0 ? 'harbour' : 'yard'}/${thing}.md`, page(thing, at)]);
	await fixture.write({ ...Object.fromEntries(pages), ...more });
	await fixture.ingest();
	const { signal } = new AbortController();
	const suggest = (ask: { count?: number; seed?: number; set?: CanarySet } = {}) =>
		fixture.retrieval.suggestCanaries({ count: 6, seed: 1, set: setOf(), signal, ...ask });
	return { fixture, suggest, signal };
}

it('suggests the same for a seed, other documents for another, of every source, and by both methods', async () => {
	const { fixture, suggest } = await setUp();
	const first = await suggest();
	expect(first.suggestions).toHaveLength(6);
	await fixture.restart();
	expect(await suggest()).toEqual(first);
	const named = ({ suggestions }: typeof first) => suggestions.map(({ documentId }) => documentId);
	expect(named(await suggest({ seed: 2 }))).not.toEqual(named(first));
	const { suggestions, documents, unused } = await suggest({ count: 50 });
	expect(new Set(suggestions.map(({ source }) => source))).toEqual(new Set(['harbour', 'yard']));
	expect(new Set(suggestions.map(({ method }) => method))).toEqual(new Set(['headings', 'words']));
	expect(first.suggestions.filter(({ source }) => source === 'yard')).toHaveLength(3);
	expect(suggestions.length + Object.values(unused).reduce((sum, number) => sum + number, 0)).toBe(documents);
});

it('what is suggested is a file of canaries that passes, and no query is a sentence of its document', async () => {
	const { fixture, suggest, signal } = await setUp();
	const made = suggestionsRow(await suggest({ count: 10 })).suggestions.map(({ canary }) => canary);
	const { groups } = setOf(made);
	expect(groups[0]?.canaries).toHaveLength(10);
	const search = (ask: object) =>
		fixture.retrieval.retriever.search({
			...(ask as Parameters<typeof fixture.retrieval.retriever.search>[0]),
			collection: 'docs',
		});
	const report = await runCanaries(search, groups, { signal });
	expect(report.groups[0]?.outcomes.filter(({ rank }) => rank === null)).toEqual([]);
	const texts = THINGS.map((thing, at) => page(thing, at).toLowerCase()).join('\n');
	for (const { query } of made) expect(texts).not.toContain(query.toLowerCase());
});

it('leaves out what canaries cover already, and what it suggested before', async () => {
	const { suggest } = await setUp();
	const first = await suggest({ count: 4 });
	const lines = suggestionsRow(first).suggestions.map(({ canary }) => canary);
	const next = await suggest({ count: 10, set: setOf(lines) });
	expect(next.unused.covered).toBe(4);
	const all = [...first.suggestions, ...next.suggestions];
	expect(all).toHaveLength(10);
	for (const key of ['id', 'query', 'documentId'] as const) expect(new Set(all.map((one) => one[key])).size).toBe(10);
});

it('counts twins as ambiguous, empty pages as without text, and repeated titles as trivial', async () => {
	const twin =
		'# Mooring rules\n\nEvery visiting yacht should announce its arrival to the harbour office beforehand by wireless telegraph.\n';
	const { suggest } = await setUp({
		'harbour/twin.md': twin,
		'yard/twin.md': twin,
		'yard/brief.md': '# Brief\n\nNothing here.\n',
		'yard/title.md': '# Caulking wooden hulls\n\n## Wooden hulls\n\nSee above.\n',
	});
	const { unused, suggestions } = await suggest({ count: 50 });
	expect(unused).toMatchObject({ ambiguous: 2, no_text: 1, trivial: 1 });
	expect(suggestions.map(({ documentId }) => documentId)).not.toContain('twin.md');
});

it('an index that is not there or empty is refused with what to do', async () => {
	const fixture = await openRetrievalFixture((dir) => retrievalConfig([collection([folderSource(dir)])]));
	onTestFinished(() => fixture.close());
	const { signal } = new AbortController();
	const suggest = () => fixture.retrieval.suggestCanaries({ count: 5, seed: 0, set: setOf(), signal });
	await expect(suggest()).rejects.toMatchObject({
		code: 'index_not_ready',
		message: expect.stringContaining('plimsoll ingest docs'),
	});
	await fixture.write({ 'a.md': '# One\n\nA page.\n' });
	await fixture.ingest();
	const { suggestions } = await suggest();
	expect(suggestions).toEqual([]);
});
