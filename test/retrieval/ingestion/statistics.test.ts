import path from 'node:path';
import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { seededRandom } from '../../../src/base/random.ts';
import { compareStatistics } from '../../../src/retrieval/ingestion/compare-statistics.ts';
import { DuplicateCounter } from '../../../src/retrieval/ingestion/duplicates.ts';
import { SKETCH_FIELD, sketchOf } from '../../../src/retrieval/ingestion/sketch.ts';
import { type Statistics, StatisticsCounter } from '../../../src/retrieval/ingestion/statistics.ts';
import { compareHistograms } from '../../../src/retrieval/ingestion/two-sample.ts';
import type { ChunkSummary } from '../../../src/spec/index-store.ts';
import type { FieldValue } from '../../../src/spec/retrieval.ts';
import {
	collection,
	ingestion,
	jsonlSource,
	openRetrievalFixture,
	type RetrievalFixture,
	retrievalConfig,
} from '../../support/retrieval-fixture.ts';

const { checks } = ingestion();

function summaryOf(fields: Readonly<Record<string, FieldValue>>) {
	const field = (name: string) => fields[name] ?? null;
	return { names: Object.keys(fields), field, has: (name: string) => field(name) !== null };
}

/** A corpus whose documents are drawn one by one: chunks of a document are much alike, as they are in the field. */
function drawn(
	seed: number,
	{ documents, german = 0.2, tokens = 200 }: { documents: number; german?: number; tokens?: number },
) {
	const random = seededRandom(seed);
	const counter = new StatisticsCounter(250);
	function* chunks(): Generator<ChunkSummary> {
		for (let n = 0; n < documents; n++) {
			const own = tokens * (0.5 + random.next());
			const language = random.next() < german ? 'de' : 'en';
			const content_type = random.next() < 0.7 ? 'text/markdown' : 'text/html';
			const fields = { language, content_type, marks: [], updated_at: null, [SKETCH_FIELD]: sketchOf(`${seed} ${n}`) };
			const count = 1 + Math.floor(random.next() ** 3 * 30);
			for (let ordinal = 0; ordinal < count; ordinal++) {
				const length = Math.round(own * (0.9 + 0.2 * random.next()));
				const document = { source: 's', documentId: `d${n}`, contentHash: '', ...summaryOf(fields) };
				yield { source: 's', ordinal, tokens: length, document: ordinal > 0 ? null : document };
			}
		}
	}
	for (const chunk of chunks()) counter.add(chunk);
	return counter.statistics;
}

const shifts = (before: Statistics, now: Statistics) => compareStatistics(before, now, { checks, sameCut: true });
const named = (before: Statistics, now: Statistics) => shifts(before, now).map(({ what }) => what);

describe('two corpora of one population', () => {
	it.each([30, 200, 1_000])('of %d documents are told apart no more often than the level says', async (documents) => {
		const runs = documents === 1_000 ? 150 : 400;
		// Without the floor, at a level that 400 runs can measure: what is left is the test alone.
		const loose = { ...checks, shiftMin: 0, shiftAlpha: 0.05, documentsDropMax: 1, chunksDropMax: 1 };
		let alarms = 0;
		let alarmsWithFloor = 0;
		for (let run = 0; run < runs; run++) {
			const [before, now] = [drawn(2 * run, { documents }), drawn(2 * run + 1, { documents })];
			if (compareStatistics(before, now, { checks: loose, sameCut: true }).length > 0) alarms++;
			const usual = { ...checks, documentsDropMax: 1, chunksDropMax: 1 };
			if (compareStatistics(before, now, { checks: usual, sameCut: true }).length > 0) alarmsWithFloor++;
		}
		// 3 standard errors above the level of 5 %.
		expect(alarms / runs).toBeLessThanOrEqual(0.05 + 3 * Math.sqrt((0.05 * 0.95) / runs));
		expect(alarmsWithFloor).toBe(0);
	});
});

describe('a shift is found and named', () => {
	it('in languages, in sizes and in numbers', async () => {
		const before = drawn(1, { documents: 500 });
		expect(named(before, drawn(2, { documents: 500, german: 0.5 }))).toEqual(['languages']);
		expect(named(before, drawn(3, { documents: 500, tokens: 120 }))).toEqual(['sizes']);
		expect(named(before, drawn(4, { documents: 250 }))).toEqual(['documents', 'chunks']);
		expect(shifts(before, drawn(2, { documents: 500, german: 0.5 }))[0]?.message).toMatch(
			/^\d\d % of the languages shifted: (de|en) from \d\d % to \d\d %/,
		);
	});

	it('but not when it is smaller than what matters, however certain it is', async () => {
		const before = drawn(5, { documents: 5_000, german: 0.2 });
		const now = drawn(6, { documents: 5_000, german: 0.25 });
		expect(compareHistograms([4_000, 1_000], [3_750, 1_250]).p).toBeLessThan(1e-6);
		expect(named(before, now)).toEqual([]);
	});
});

it('compares histograms as the textbook does', () => {
	// scipy.stats.chi2_contingency([[10, 20, 30], [20, 20, 20]], correction=False): p = 0.06948345122280154
	expect(compareHistograms([10, 20, 30], [20, 20, 20]).p).toBeCloseTo(0.069_483_451_2, 9);
	expect(compareHistograms([10, 20, 30], [20, 20, 20]).distance).toBeCloseTo(1 / 6, 12);
	expect(compareHistograms([1, 0], [0, 1]).p).toBe(1);
	fc.assert(
		fc.property(fc.array(fc.tuple(fc.nat(500), fc.nat(500)), { maxLength: 20 }), (bins) => {
			const { distance, p } = compareHistograms(
				bins.map(([a]) => a),
				bins.map(([, b]) => b),
			);
			expect(distance).toBeGreaterThanOrEqual(0);
			expect(distance).toBeLessThanOrEqual(1 + 1e-9);
			expect(p).toBeGreaterThanOrEqual(0);
			expect(p).toBeLessThanOrEqual(1);
		}),
		{ numRuns: 300, seed: 3 },
	);
});

it('counts texts that are the same, and texts that are nearly the same', () => {
	const counter = new DuplicateCounter();
	const words = Array.from({ length: 300 }, (_, n) => `word${(n * 7_919) % 1_009}`);
	const text = words.join(' ');
	for (const one of [
		text,
		`  ${text.toUpperCase()}! `,
		words.with(150, 'edited').join(' '),
		words.toReversed().join(' '),
	]) {
		counter.add(sketchOf(one));
	}
	expect(counter.counts).toEqual({ sampled: 4, exact: 1, near: 1 });
});

describe('a generation', () => {
	let fixture: RetrievalFixture;
	afterEach(() => fixture.close());
	const rules = { documents: { fields: { product: { type: 'text' }, price: { type: 'number' } } } };

	async function open() {
		fixture = await openRetrievalFixture((dir) =>
			retrievalConfig([collection([jsonlSource(path.join(dir, 'all.jsonl'))], { ingestion: ingestion(rules) })]),
		);
	}

	const write = (change: (document: Record<string, unknown>, n: number) => Record<string, unknown>) =>
		fixture.write({
			'all.jsonl': Array.from({ length: 60 }, (_, n) =>
				JSON.stringify(change({ id: `d${n}`, text: `Document number ${n}.`, product: 'car', price: n }, n)),
			).join('\n'),
		});

	it.each([
		{
			fault: '30 % of its documents lose a field',
			change: (document: Record<string, unknown>, n: number) =>
				n % 10 < 3 ? { ...document, product: null } : document,
			reason: 'lines: 70 % of the documents have the field product, 100 % of the live ones',
		},
		{
			fault: 'a field is empty',
			change: ({ price: _, ...document }: Record<string, unknown>) => document,
			reason: 'lines: 0.0 % of the documents have the field price',
		},
		{
			fault: 'every text is the same error page',
			change: (document: Record<string, unknown>) => ({ ...document, text: 'Please log in to read this page.' }),
			reason: 'lines: 98 % of the documents have the text of another one',
		},
	])('is refused when $fault, and the old one serves until it is accepted', async ({ change, reason }) => {
		await open();
		await write((document) => document);
		const { generation } = await fixture.ingest();
		await write(change);
		const refused = await fixture.ingest();
		expect(refused).toMatchObject({ generation, promoted: false });
		const failed = refused.refused?.verification.checks.filter(({ passed }) => !passed);
		expect(failed).toMatchObject([
			{ check: 'statistics', overrulable: true, message: expect.stringContaining(reason) },
		]);
		expect([...fixture.alerts.keys()]).toEqual(['index_refused:docs']);
		expect(await fixture.search('number 7')).toMatchObject({ generation });
		expect(await fixture.ingest('docs', { accept: true })).toMatchObject({ promoted: true });
		expect([...fixture.alerts.keys()]).toEqual([]);
	});

	it('keeps a snapshot of what is in it, by source', async () => {
		await open();
		await write((document) => document);
		await fixture.ingest();
		const [live] = await fixture.records.generations.live();
		expect(live?.statistics).toMatchObject({
			format: 1,
			sources: {
				lines: {
					documents: 60,
					chunks: 60,
					types: { 'text/plain': 60 },
					fields: { product: 60, price: 60, updated_at: 0 },
					duplicates: { sampled: 60, exact: 0 },
				},
			},
		});
	});
});
