import path from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { systemClock } from '../../../src/base/clock.ts';
import { LanceStore } from '../../../src/index-stores/lancedb/store.ts';
import { conserve } from '../../../src/retrieval/ingestion/conserve.ts';
import { Ledger } from '../../../src/retrieval/ingestion/ledger.ts';
import { StatisticsCounter } from '../../../src/retrieval/ingestion/statistics.ts';
import { parseManifest } from '../../../src/retrieval/manifest.ts';
import type { IndexedDocument, IndexStore, IndexWriter } from '../../../src/spec/index-store.ts';
import {
	collection,
	ingestion,
	jsonlSource,
	openRetrievalFixture,
	type RetrievalFixture,
	retrievalConfig,
} from '../../support/retrieval-fixture.ts';

const hash = (n: number) => n.toString(16).padStart(32, '0');

async function* stored(documents: readonly IndexedDocument[]): AsyncGenerator<readonly IndexedDocument[]> {
	yield documents.slice(0, 2);
	yield documents.slice(2);
}

function ledgerOf(documents: number): { ledger: Ledger; sealed: IndexedDocument[] } {
	const ledger = new Ledger();
	const sealed: IndexedDocument[] = [];
	for (let n = 0; n < documents; n++) {
		const slot = ledger.slot('s', `d${n}`);
		ledger.setWritten(slot, hash(n));
		ledger.end(slot, 'new');
		sealed.push({ source: 's', documentId: `d${n}`, contentHash: hash(n) });
	}
	return { ledger, sealed };
}

const terms = (written: number, more = {}) => [
	{ source: 's', unchanged: 0, written, quarantined: 0, failed: 0, deleted: 0, ...more },
];

describe('the law of an ingestion', () => {
	it('holds for what is whole, and names each way in which it is broken', async () => {
		const faults: [
			string,
			(sealed: IndexedDocument[]) => IndexedDocument[],
			ReturnType<typeof terms>,
			RegExp | null,
		][] = [
			['nothing', (sealed) => sealed, terms(20), null],
			['one is missing', (sealed) => sealed.slice(1), terms(20), /s: 1 documents are missing from the index/],
			[
				'one is there twice',
				(sealed) => [...sealed, ...sealed.slice(0, 1)],
				terms(20),
				/s: 1 documents are in the index that should not be/,
			],
			[
				'one is unknown',
				(sealed) => [...sealed, { source: 's', documentId: 'stray', contentHash: hash(1) }],
				terms(20),
				/should not be there, or are there twice \(stray\)/,
			],
			[
				'one is another',
				([first, ...rest]) => [{ source: 's', documentId: first?.documentId ?? '', contentHash: hash(99) }, ...rest],
				terms(20),
				/s: 1 documents are in the index with another content than the source gave \(d0\)/,
			],
			[
				'the report counts wrongly',
				(sealed) => sealed,
				terms(19, { failed: 1 }),
				/the run reports 19 written documents, and there are 20/,
			],
		];
		for (const [name, spoil, reported, message] of faults) {
			const { ledger, sealed } = ledgerOf(20);
			const outcome = await conserve(ledger, stored(spoil(sealed)), reported);
			expect(outcome.passed, name).toBe(message === null);
			if (message) expect(outcome.message).toMatch(message);
		}
		const { ledger, sealed } = ledgerOf(3);
		ledger.slot('s', 'never ended');
		expect((await conserve(ledger, stored(sealed), terms(3))).message).toContain('1 documents came to no end');
	});
});

it('a ledger knows documents by their ids, whatever these are, and has one digest for one content', () => {
	fc.assert(
		fc.property(
			fc.uniqueArray(fc.string({ unit: 'binary' }), { maxLength: 3_000, minLength: 1 }),
			fc.nat(1_000),
			(ids, salt) => {
				const build = (order: readonly string[]) => {
					const ledger = new Ledger();
					for (const id of order) ledger.setWritten(ledger.slot('s', id), hash(id.length + salt));
					return ledger;
				};
				const ledger = build(ids);
				expect(ledger.size).toBe(ids.length);
				for (const [n, id] of ids.entries()) expect(ledger.find('s', id)).toBe(n);
				expect(ledger.find('other', ids[0] ?? '')).toBe(-1);
				expect(build(ids.toReversed()).digest()).toBe(ledger.digest());
				ledger.setRemoved(0);
				expect(build(ids).digest()).not.toBe(ledger.digest());
			},
		),
		{ numRuns: 10, seed: 7 },
	);
});

/** A store that dies at one of its writes, as a process that is killed does: that write and all later ones never happen. */
class DyingStore extends LanceStore {
	writesLeft = Number.POSITIVE_INFINITY;

	override async writer(...args: Parameters<IndexStore['writer']>) {
		const writer = await super.writer(...args);
		const mortal = (name: 'write' | 'remove' | 'seal') => {
			const real = writer[name].bind(writer) as (...given: unknown[]) => Promise<unknown>;
			Object.assign(writer, {
				[name]: (...given: unknown[]) => {
					if (this.writesLeft-- <= 0) return Promise.reject(new Error('killed'));
					return real(...given);
				},
			});
		};
		for (const name of ['write', 'remove', 'seal'] satisfies (keyof IndexWriter)[]) mortal(name);
		return writer;
	}
}

interface Line {
	readonly id: string;
	readonly version: number;
	readonly kind: 'good' | 'misfit' | 'broken';
}

const line = fc.record<Line>({
	id: fc.constantFrom('a', 'b/☂', "c'c", 'd', 'e%_', '🚢', 'g', 'h'),
	version: fc.nat(2),
	kind: fc.constantFrom('good', 'good', 'good', 'misfit', 'broken'),
});

const step = fc.record({ lines: fc.array(line, { maxLength: 10 }), diesAfter: fc.option(fc.nat(2), { nil: null }) });

const toJson = ({ id, version, kind }: Line) =>
	JSON.stringify({
		id,
		text: kind === 'broken' ? 7 : `Version ${version} of it.`,
		product: kind === 'misfit' ? 'x' : 'car',
	});

it('after any sources, faults and kills the index holds just what the last run was given', async () => {
	const rules = { documents: { fields: { product: { type: 'text', one_of: ['car'] } } } };
	const last = { lines: [{ id: 'a', version: 9, kind: 'good' as const }], diesAfter: null };
	await fc.assert(
		fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 3 }), async (steps) => {
			const stores: DyingStore[] = [];
			const fixture = await openRetrievalFixture(
				(dir) =>
					retrievalConfig([collection([jsonlSource(path.join(dir, 'all.jsonl'))], { ingestion: ingestion(rules) })]),
				systemClock,
				{
					openStore: (folder) => {
						const store = new DyingStore(folder);
						stores.push(store);
						return store;
					},
				},
			);
			try {
				for (const { lines, diesAfter } of [...steps, last]) {
					await fixture.write({ 'all.jsonl': lines.map(toJson).join('\n') });
					if (diesAfter !== null) {
						for (const store of stores) store.writesLeft = diesAfter;
						await fixture.ingest().catch(() => null);
						await fixture.restart();
					}
					const report = await fixture.ingest().catch(() => null);
					// Nothing to index, or a source that is empty all of a sudden: the old generation serves on.
					if (!report) continue;
					expect(report).toMatchObject({ refused: null, sources: [{ seen: lines.length }] });
					const index = await contents(fixture);
					const given = new Map(lines.toReversed().map((one) => [one.id, one]));
					for (const [id, { kind, version }] of given) if (kind === 'good') expect(index.get(id)).toBe(version);
					for (const id of index.keys()) expect(given.has(id)).toBe(true);
					await expectKnown(fixture);
				}
				expect(await contents(fixture)).toEqual(new Map([['a', 9]]));
				await fixture.write({
					'all.jsonl': [...last.lines, { id: 'b', version: 1, kind: 'good' as const }].map(toJson).join('\n'),
				});
				const { generation } = await fixture.ingest();
				expect(await expectKnown(fixture)).toBe('changes');
				expect(await fixture.ingest('docs', { fresh: true })).toMatchObject({ generation, promoted: false });
			} finally {
				await fixture.close();
			}
		}),
		{ numRuns: 3, seed: 11, endOnFailure: true },
	);
});

/** What is on record of the live generation is what a reading of all of it gives. Returns what was read for it. */
async function expectKnown({ root, records }: RetrievalFixture): Promise<'everything' | 'changes'> {
	const [live] = await records.generations.live();
	if (!live) throw new Error('nothing is live');
	const { table, version, digest, chunks } = parseManifest(live);
	const store = new LanceStore(path.join(root, 'index'));
	await store.open();
	const reader = await store.freshReader({ table, version });
	expect(await reader.readEverything()).toEqual({ rows: chunks, digest });
	const counter = new StatisticsCounter(null);
	for await (const batch of reader.summaries()) for (const chunk of batch) counter.add(chunk);
	expect(live.statistics).toEqual(counter.statistics);
	reader.close();
	store.close();
	const damage = live.verification?.checks.find(({ check }) => check === 'damage');
	return JSON.stringify(damage?.detail).includes('"since"') ? 'changes' : 'everything';
}

async function contents({ search }: Pick<RetrievalFixture, 'search'>): Promise<Map<string, number>> {
	const { hits } = await search('version', { k: 50 });
	return new Map(hits.map(({ documentId, text }) => [documentId, Number(/\d+/.exec(text)?.[0])]));
}
