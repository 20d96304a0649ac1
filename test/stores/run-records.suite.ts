import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { QuarantineEntry } from '../../src/spec/quarantine.ts';
import type { RecordStore } from '../../src/spec/records.ts';
import { generation, run } from './record-store.suite.ts';

function quarantined(runId: string, collection: string): QuarantineEntry {
	return {
		...{ id: `q-${runId}`, collection, source: 'files', document: runId, kind: 'failed', reasons: ['x'], runId },
		...{ contentHash: null, rulesHash: 'r', firstAt: 1, lastAt: 1, kept: false, state: 'held' },
	};
}

/** The records of runs, on every backend of the record store. */
export function runRecordsSuite(backend: string, open: () => Promise<RecordStore>): void {
	describe(`records of runs on ${backend}`, () => {
		let store: RecordStore;
		beforeEach(async () => {
			store = await open();
		});
		afterEach(async () => store.close());

		it('updates a run as it ends', async () => {
			const started = run({ endedAt: null, outcome: 'running', report: null });
			await store.putRun(started);
			expect(await store.listRuns(null, 10)).toEqual([started]);
			await store.putRun(run());
			expect(await store.listRuns(null, 10)).toEqual([run()]);
			await store.putRun(run({ outcome: 'failed', report: null, error: 'no space left' }));
			expect(await store.listRuns(null, 10)).toEqual([
				run({ outcome: 'failed', report: null, error: 'no space left' }),
			]);
		});

		it('lists runs newest first, of one collection or all, up to the limit', async () => {
			for (const [id, collection, startedAt] of [
				['r1', 'docs', 1],
				['r3', 'docs', 3],
				['r2', 'wiki', 2],
			] as const) {
				await store.putRun(run({ id, collection, startedAt }));
			}
			const ids = async (collection: string | null, limit: number) =>
				(await store.listRuns(collection, limit)).map(({ id }) => id);
			expect(await ids(null, 10)).toEqual(['r3', 'r2', 'r1']);
			expect(await ids('docs', 10)).toEqual(['r3', 'r1']);
			expect(await ids('docs', 1)).toEqual(['r3']);
			expect(await ids('nowhere', 10)).toEqual([]);
			expect(await ids(null, 0)).toEqual([]);
			expect(await ids(null, -1)).toEqual([]);
			expect((await store.findRun('docs', 'r3'))?.startedAt).toBe(3);
			expect([await store.findRun('wiki', 'r3'), await store.findRun('docs', 'r4')]).toEqual([null, null]);
		});

		it('removes old runs and those beyond the newest, but none that goes on or that is named', async () => {
			const outcome = fc.constantFrom(...(['succeeded', 'failed', 'running'] as const));
			const one = fc.record({
				startedAt: fc.nat(9),
				outcome,
				named: fc.constantFrom(null, 'generation', 'quarantine'),
			});
			const bounds = fc.record({ before: fc.nat(9), keep: fc.nat(5), most: fc.integer({ min: 1, max: 4 }) });
			const given = fc.record({ docs: fc.array(one, { maxLength: 12 }), wiki: fc.array(one, { maxLength: 12 }) });
			let round = 0;
			await fc.assert(
				fc.asyncProperty(given, bounds, async (collections, of) => {
					const expected: string[] = [];
					const names = Object.entries(collections).map(([name, all]) => ({ collection: `${name}-${round}`, all }));
					round++;
					for (const { collection, all } of names) {
						const runs = all.map((about, at) => ({ ...about, id: `${collection}-${String(at).padStart(2, '0')}` }));
						for (const [at, { id, startedAt, outcome: end, named }] of runs.entries()) {
							await store.putRun(run({ id, collection, startedAt, outcome: end }));
							const sequence = at + 1;
							const name = { collection, sequence, generation: `${collection}-g${sequence}` };
							if (named === 'generation') await store.generations.put(generation({ ...name, runId: id, removedAt: 5 }));
							if (named === 'quarantine') await store.quarantine.put([quarantined(id, collection)], 100);
						}
						const newest = runs.toSorted((a, b) => b.startedAt - a.startedAt || (a.id < b.id ? 1 : -1));
						for (const [place, { id, startedAt, outcome: end, named }] of newest.entries()) {
							const isKept = end === 'running' || named !== null || (startedAt >= of.before && place < of.keep);
							if (isKept) expected.push(id);
						}
					}
					const before = (await store.listRuns(null, 10_000)).length;
					let gone = 0;
					for (let last = of.most; last === of.most; gone += last) {
						last = await store.pruneRuns(of);
						expect(last).toBeLessThanOrEqual(of.most);
					}
					const left = await Promise.all(names.map(({ collection }) => store.listRuns(collection, 100)));
					expect(left.flat().map(({ id }) => id)).toHaveLength(expected.length);
					expect(new Set(left.flat().map(({ id }) => id))).toEqual(new Set(expected));
					expect((await store.listRuns(null, 10_000)).length).toBe(before - gone);
				}),
				{ numRuns: 30 },
			);
		});
	});
}
