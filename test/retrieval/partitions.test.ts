import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { VirtualClock } from '../../src/base/virtual-clock.ts';
import type { PartitionConfig } from '../../src/contracts/ranking-config.ts';
import { Partitions, partitionFor } from '../../src/retrieval/partitions.ts';
import type { IndexReader } from '../../src/spec/index-store.ts';
import { OTHER } from '../../src/spec/names.ts';
import type { FieldType, SearchResult } from '../../src/spec/retrieval.ts';
import { type FieldIndex, openFieldIndex } from '../support/field-index.ts';

const CONFIG: PartitionConfig = { by: 'product', searchesMax: 2, queuedMax: 3, over: 'shed' };
const CORES = 2;
const ASK = { collection: 'docs', msMax: 1_000, signal: null };

describe('the partition that can answer', () => {
	const of = (field: string, value: string) => ({ field, is: 'equal', value }) as const;
	it.each([
		['the one value that all must have', { all: [of('year', '1'), { all: [of('product', 'ship')] }] }, 'ship'],
		['a list of one', { field: 'product', is: 'one_of', values: ['ship'] } as const, 'ship'],
		['either of two: all of them', { any: [of('product', 'ship'), of('product', 'boat')] }, '*'],
		['all but one: all of them', { not: of('product', 'ship') }, '*'],
		['no filter: all of them', null, '*'],
	])('%s', (_, filter, expected) => {
		expect(partitionFor('product', filter, undefined)).toBe(expected);
	});

	it('by tenant it is the caller’s, whatever is filtered by', () => {
		const caller = { tenantId: 'acme', user: null, groups: [] };
		expect(partitionFor('tenant', of('tenant', 'beta'), caller)).toBe('acme');
		expect(partitionFor('tenant', null, 'operator')).toBe('*');
	});
});

describe('a partition', () => {
	it('runs so many, lets so many wait in order, and refuses the rest with the time to come back', async () => {
		const partitions = new Partitions(new VirtualClock(), CORES);
		const first = await Promise.all([0, 1].map(() => partitions.enter('hot', CONFIG, ASK)));
		const begun: number[] = [];
		const waiting = [0, 1, 2].map(async (at) => {
			const passage = await partitions.enter('hot', CONFIG, ASK);
			begun.push(at);
			return passage;
		});
		await expect(partitions.enter('hot', CONFIG, ASK)).rejects.toMatchObject({
			code: 'partition_busy',
			retryAfterMs: 500,
		});
		expect(partitions.view()).toMatchObject([{ partition: 'hot', running: 2, queued: 3, shed: 1 }]);
		// Another one has places of its own.
		expect((await partitions.enter('cold', CONFIG, ASK)).degraded).toBeNull();
		for (const passage of first) passage.leave();
		first[0]?.leave();
		for (const one of waiting) (await one).leave();
		expect(begun).toEqual([0, 1, 2]);
		expect(partitions.view().find(({ partition }) => partition === 'hot')).toMatchObject({
			running: 0,
			queued: 0,
			searches: 5,
		});
	});

	it('tells each of a flood a later time to come back, and nobody more than five seconds', async () => {
		const clock = new VirtualClock();
		const partitions = new Partitions(clock, CORES);
		const measured = await partitions.enter('hot', CONFIG, ASK);
		await clock.advance(100);
		measured.leave();
		await Promise.all([0, 1].map(() => partitions.enter('hot', CONFIG, ASK)));
		const waiting = Array.from({ length: CONFIG.queuedMax }, () =>
			partitions.enter('hot', CONFIG, ASK).catch(() => null),
		);
		const told: number[] = [];
		for (let at = 0; at < 200; at++) {
			await partitions.enter('hot', CONFIG, ASK).catch((error) => told.push(error.retryAfterMs));
		}
		// Three wait before them, and a place comes free each 50 ms.
		expect(told.slice(0, 4)).toEqual([200, 250, 300, 350]);
		expect(told).toEqual(told.toSorted((a, b) => a - b));
		expect(told.at(-1)).toBe(5_000);
		// The turns that nobody took pass with the time.
		await clock.advance(10_000);
		await Promise.all(waiting);
		await partitions.enter('hot', { ...CONFIG, queuedMax: 0 }, ASK).catch((error) => told.push(error.retryAfterMs));
		expect(told.at(-1)).toBe(50);
	});

	it('beyond the thousandth that is busy at once shares the places of one, under the name that figures of others have', async () => {
		const partitions = new Partitions(new VirtualClock(), CORES);
		for (let n = 0; n < 1_000; n++) await partitions.enter(`p${n}`, CONFIG, ASK);
		const passage = await partitions.enter('late', CONFIG, ASK);
		await partitions.enter('later', CONFIG, ASK);
		const names = () => partitions.view().map(({ partition }) => partition);
		expect(partitions.view()[0]).toMatchObject({ partition: OTHER, running: 2 });
		expect(names()).toHaveLength(1_001);
		passage.leave();
		expect(names()).not.toContain('late');
	});

	it('that is hot leaves others as much time as it takes, while they are there and cores are scarce', async () => {
		const heldMs = async (cores: number, { hot, neighbour }: { hot: boolean; neighbour: 'none' | 'quiet' | 'hot' }) => {
			const clock = new VirtualClock();
			const partitions = new Partitions(clock, cores);
			const config = { ...CONFIG, searchesMax: 1, queuedMax: 0 };
			const passage = await partitions.enter('hot', config, ASK);
			if (hot) await partitions.enter('hot', config, ASK).catch(() => null);
			if (neighbour !== 'none') {
				const other = await partitions.enter('cold', config, ASK);
				if (neighbour === 'hot') await partitions.enter('cold', config, ASK).catch(() => null);
				other.leave();
			}
			await clock.advance(100);
			passage.leave();
			const place = () => partitions.view().find(({ partition }) => partition === 'hot');
			expect(place()).toMatchObject({ running: 0, searches: 1, latencyMsP50: 100 });
			for (let ms = 100; ; ms += 50) {
				const next = await partitions.enter('hot', config, ASK).catch(() => null);
				if (next) return ms;
				expect(ms).toBeLessThan(1_000);
				await clock.advance(50);
			}
		};
		expect(await heldMs(2, { hot: true, neighbour: 'quiet' })).toBe(200);
		expect(await heldMs(2, { hot: true, neighbour: 'none' })).toBe(100);
		expect(await heldMs(2, { hot: true, neighbour: 'hot' })).toBe(100);
		expect(await heldMs(2, { hot: false, neighbour: 'quiet' })).toBe(100);
		expect(await heldMs(16, { hot: true, neighbour: 'quiet' })).toBe(100);
	});

	it('is hot for a minute after a search found all places taken', async () => {
		const clock = new VirtualClock();
		const partitions = new Partitions(clock, CORES);
		const hot = () =>
			partitions
				.view()
				.filter((view) => view.hot)
				.map(({ partition }) => partition);
		const enter = (name: string) => partitions.enter(name, { ...CONFIG, queuedMax: 0 }, ASK);
		const passages = [await enter('cold'), await enter('busy'), await enter('busy')];
		expect(hot()).toEqual([]);
		await expect(enter('busy')).rejects.toMatchObject({ code: 'partition_busy' });
		for (const passage of passages) passage.leave();
		await clock.advance(59_000);
		expect(hot()).toEqual(['busy']);
		await clock.advance(1_000);
		expect(hot()).toEqual([]);
	});

	it('whatever comes and goes, at most so many run and wait, and everything is given back', async () => {
		const event = fc.oneof(
			fc.constant('enter' as const),
			fc.constant('leave' as const),
			fc.constant('time' as const),
			fc.constant('abort' as const),
		);
		await fc.assert(
			fc.asyncProperty(
				fc.array(event, { maxLength: 60 }),
				fc.constantFrom('shed' as const, 'lexical' as const),
				async (events, over) => {
					const clock = new VirtualClock();
					const partitions = new Partitions(clock, CORES);
					const inside: { leave(): void }[] = [];
					const aborts: AbortController[] = [];
					for (const one of events) {
						if (one === 'enter') {
							const abort = new AbortController();
							aborts.push(abort);
							partitions.enter('p', { ...CONFIG, over }, { ...ASK, signal: abort.signal }).then(
								(passage) => inside.push(passage),
								() => {},
							);
						} else if (one === 'leave') inside.shift()?.leave();
						else if (one === 'abort') aborts.shift()?.abort(new Error('left'));
						await clock.advance(one === 'time' ? 600 : 0);
						const [view] = partitions.view();
						expect(view?.running ?? 0).toBeLessThanOrEqual(over === 'lexical' ? 4 : 2);
						expect(view?.queued ?? 0).toBeLessThanOrEqual(3);
						expect(view?.running ?? 0).toBe(inside.length);
					}
					await clock.advance(1_001);
					while (inside.length > 0) {
						inside.shift()?.leave();
						await clock.advance(0);
					}
					expect(partitions.view()[0] ?? { running: 0, queued: 0 }).toMatchObject({ running: 0, queued: 0 });
				},
			),
			{ numRuns: 60 },
		);
	});
});

describe('a collection with partitions', () => {
	const FIELDS = new Map<string, FieldType>([['product', 'text']]);
	const documents = ['hot', 'cold'].map((product) => ({ id: product, text: 'the hull', fields: { product } }));
	const where = (product: string) => ({ field: 'product', equal: product });
	const ask = { collection: 'docs', query: 'hull', k: 1, mode: 'hybrid', filter: null, signal: null } as const;

	/** Every leg takes 100 ms of virtual time, and answers with what the real index answered when it was warmed up. */
	async function open(partition: PartitionConfig): Promise<{ index: FieldIndex; clock: VirtualClock }> {
		const clock = new VirtualClock();
		const known = new Map<string, unknown>();
		let isWarm = false;
		const replayed = async <T>(key: unknown, ms: number, run: () => Promise<T>): Promise<T> => {
			const name = JSON.stringify(key, (_, value) => (typeof value === 'bigint' ? String(value) : value));
			if (!isWarm) known.set(name, await run());
			else if (ms > 0) {
				const { promise, resolve } = Promise.withResolvers<void>();
				clock.after(ms, resolve);
				await promise;
			}
			return known.get(name) as T;
		};
		const around = (own: IndexReader): IndexReader => ({
			...own,
			place: own.place,
			chunks: own.chunks,
			lexical: (query, how) => replayed(['lexical', how.filter], 100, () => own.lexical(query, how)),
			vector: (vector, how) => replayed(['vector', how.filter], 100, () => own.vector(vector, how)),
			passages: (rows, ms) => replayed(rows, 0, () => own.passages(rows, ms)),
		});
		const index = await openFieldIndex(documents, FIELDS, { config: { partition }, clock, around });
		for (const product of ['hot', 'cold']) await index.retriever.search({ ...ask, where: where(product) });
		isWarm = true;
		return { index, clock };
	}

	async function until(clock: VirtualClock, done: () => boolean) {
		for (let at = 0; at < 2_000 && !done(); at++) {
			await clock.advance(10);
			await new Promise((resolve) => setImmediate(resolve));
		}
	}

	it.each(['shed', 'lexical'] as const)(
		'a saturated one is busy alone (%s): another’s search starts at once, and the hot one is named',
		async (over) => {
			const { index, clock } = await open({ ...CONFIG, over });
			const ended: { degraded: string | null }[] = [];
			const refused: { code: string; retryAfterMs: number }[] = [];
			const flood = Array.from({ length: 12 }, () =>
				index.retriever.search({ ...ask, where: where('hot') }).then(
					(result) => ended.push(result),
					(error) => refused.push(error),
				),
			);
			await clock.advance(0);
			const startedAt = clock.monotonic();
			let cold: SearchResult | null = null;
			let tookMs = 0;
			const calm = index.retriever.search({ ...ask, where: where('cold') }).then((result) => {
				cold = result;
				tookMs = clock.monotonic() - startedAt;
			});
			await until(clock, () => cold !== null);
			await until(clock, () => ended.length + refused.length === flood.length);
			await Promise.all([...flood, calm]);
			expect(cold).toMatchObject({ degraded: null, hits: [{ documentId: 'cold' }] });
			expect(tookMs).toBeLessThanOrEqual(120);
			expect(refused).toHaveLength(over === 'shed' ? 7 : 5);
			for (const error of refused)
				expect(error).toMatchObject({ code: 'partition_busy', retryAfterMs: expect.any(Number) });
			const busy = ended.filter(({ degraded }) =>
				degraded?.includes('the partition hot is busy: the search was lexical'),
			);
			expect(busy).toHaveLength(over === 'shed' ? 0 : 2);
			expect(index.retriever.partitions?.('docs')).toMatchObject([
				{ partition: 'hot', running: 0, shed: refused.length, degraded: busy.length, latencyMsP99: expect.any(Number) },
				{ partition: 'cold', searches: 2, shed: 0 },
			]);
			await index.close();
		},
	);
});
