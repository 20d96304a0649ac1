import { describe, expect, it, onTestFinished } from 'vitest';
import { parseCanaries } from '../../src/contracts/canary.ts';
import type { CanarySet } from '../../src/contracts/canary-set.ts';
import { suggestionsRow } from '../../src/gateway/canary-routes.ts';
import { runCanaries } from '../../src/retrieval/canary-run.ts';
import type { RatedTraffic } from '../../src/spec/canaries.ts';
import type { Feedback } from '../../src/spec/feedback.ts';
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
	const suggest = (ask: { count?: number; seed?: number; set?: CanarySet; traffic?: RatedTraffic } = {}) =>
		fixture.retrieval.suggestCanaries({ count: 6, seed: 1, set: setOf(), signal, traffic: null, ...ask });
	return { fixture, suggest, signal };
}

it('suggests the same for a seed, other documents for another, of every source, and by both methods', async () => {
	const { fixture, suggest } = await setUp();
	const first = await suggest();
	expect(first.suggestions).toHaveLength(6);
	await fixture.restart();
	expect(await suggest()).toEqual(first);
	const named = ({ suggestions }: typeof first) => suggestions.flatMap(({ documents: ids }) => ids);
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
	const values = [all.map(({ id }) => id), all.map(({ query }) => query), all.flatMap(({ documents }) => documents)];
	for (const each of values) expect(new Set(each).size).toBe(10);
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
	expect(suggestions.flatMap(({ documents: ids }) => ids)).not.toContain('twin.md');
});

it('an index that is not there or empty is refused with what to do', async () => {
	const fixture = await openRetrievalFixture((dir) => retrievalConfig([collection([folderSource(dir)])]));
	onTestFinished(() => fixture.close());
	const { signal } = new AbortController();
	const suggest = () => fixture.retrieval.suggestCanaries({ count: 5, seed: 0, set: setOf(), signal, traffic: null });
	await expect(suggest()).rejects.toMatchObject({
		code: 'index_not_ready',
		message: expect.stringContaining('plimsoll ingest docs'),
	});
	await fixture.write({ 'a.md': '# One\n\nA page.\n' });
	await fixture.ingest();
	const { suggestions } = await suggest();
	expect(suggestions).toEqual([]);
});

describe('from rated traffic', () => {
	const rated = (question: string, fields: Partial<Feedback> = {}): Feedback => ({
		...{ tenantId: 'acme', requestId: 'req_1', rater: 'v1:a', at: 1, score: 1, label: null, passages: [], question },
		...{ comment: null, correctedAnswer: null, feature: 'ask', collection: 'docs', generation: 'docs-g1', chunks: [] },
		...fields,
	});
	const of = (...ratings: Feedback[]): RatedTraffic => ({ tenantId: 'acme', ratings });

	it('a question comes first, with the document that it was answered by, and is a canary that passes', async () => {
		const { fixture, suggest, signal } = await setUp();
		const ask = { collection: 'docs', query: 'inspect the capstan', k: 5, mode: null, filter: null, signal } as const;
		const { hits } = await fixture.retrieval.retriever.search({ ...ask, caller: 'operator' });
		const [capstan, other] = hits;
		const chunks = ['chk_gone', capstan?.chunkId ?? '', other?.chunkId ?? ''];
		const found = await suggest({
			count: 3,
			traffic: of(
				rated('Who inspects the capstan?', { chunks, requestId: 'req_9' }),
				// The same question of somebody else, whose answer was as good.
				rated('who inspects the CAPSTAN', { chunks, rater: 'v1:b' }),
				rated('How do I look after a davit?', { passages: ['davit.md'] }),
			),
		});
		expect(found.traffic).toEqual({
			tenantId: 'acme',
			questions: 2,
			unused: { disputed: 0, repeated: 0, not_found: 0 },
		});
		expect(found.suggestions.map(({ method }) => method === 'traffic')).toEqual([true, true, false]);
		expect(found.suggestions[0]).toMatchObject({
			query: 'Who inspects the capstan?',
			documents: ['capstan.md'],
			source: 'harbour',
			tenant: null,
			traffic: { tenantId: 'acme', requestId: 'req_9', up: 2, down: 0 },
		});
		expect(found.suggestions[1]?.documents).toEqual(['davit.md']);
		const rows = suggestionsRow(found).suggestions;
		expect(rows[0]?.traffic).toEqual({ tenant: 'acme', request_id: 'req_9', up: 2, down: 0 });
		const { groups } = setOf(rows.map(({ canary }) => canary));
		const report = await runCanaries(
			(one) => fixture.retrieval.retriever.search({ ...one, collection: 'docs' }),
			groups,
			{
				signal,
			},
		);
		expect(report.groups[0]?.outcomes.map(({ rank }) => rank !== null)).toEqual([true, true, true]);
	});

	it('a question that is disputed, known, badly rated or no longer answered is none', async () => {
		const { suggest } = await setUp();
		const known = { id: 'k', query: 'Who inspects the bilge?', documents: ['bilge.md'] };
		const found = await suggest({
			set: setOf([known]),
			traffic: of(
				rated('Who inspects the fender?', { passages: ['fender.md'] }),
				rated('Who inspects the fender?', { score: 0.2, rater: 'v1:b' }),
				rated('Who inspects the keelson?', { score: 0.5, passages: ['keelson.md'] }),
				rated('Who inspects the bilge', { passages: ['bilge.md'] }),
				rated('Who inspects the jetty?', { chunks: ['chk_gone'] }),
				rated('Who inspects the gunwale?', { passages: ['no-such.md'] }),
			),
		});
		expect(found.traffic).toMatchObject({ questions: 5, unused: { disputed: 2, repeated: 1, not_found: 2 } });
		expect(found.suggestions.every(({ traffic }) => traffic === null)).toBe(true);
	});
});
