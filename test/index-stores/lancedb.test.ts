import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from '@lancedb/lancedb';
import { expect, it } from 'vitest';
import { CAPABILITIES } from '../../scripts/reference/index-store-capabilities.ts';
import { seededRandom } from '../../src/base/random.ts';
import type { IndexedFrom } from '../../src/index-stores/lancedb/indexes.ts';
import { LanceStore } from '../../src/index-stores/lancedb/store.ts';
import { harmDataset } from './harm-dataset.ts';
import { indexStoreSuite, row, SHAPE } from './index-store.suite.ts';
import { lifecycleSuite } from './lifecycle.suite.ts';

indexStoreSuite('LanceDB', CAPABILITIES['LanceDB in the data folder'], async () => {
	const folder = await mkdtemp(join(tmpdir(), 'plimsoll-lance-'));
	// So that 10,000 chunks are searched by an index that looks at a part of them.
	const store = new LanceStore(folder, { vectors: 5_000, fields: 5_000 });
	await store.open();
	return {
		store,
		config: { kind: 'lancedb', folder },
		harm: (table) => harmDataset(join(folder, `${table}.lance`)),
		end: async () => {
			store.close();
			await rm(folder, { recursive: true });
		},
	};
});

lifecycleSuite('LanceDB', async () => {
	const folder = await mkdtemp(join(tmpdir(), 'plimsoll-lance-'));
	return {
		config: { kind: 'lancedb', folder },
		harm: (table) => harmDataset(join(folder, `${table}.lance`)),
		end: () => rm(folder, { recursive: true }),
	};
});

/** A store in a folder of its own, which goes with it. */
async function openLance(from?: IndexedFrom) {
	const folder = await mkdtemp(join(tmpdir(), 'plimsoll-lance-'));
	const store = new LanceStore(folder, from);
	await store.open();
	return {
		...{ folder, store },
		async [Symbol.asyncDispose]() {
			store.close();
			await rm(folder, { recursive: true });
		},
	};
}

it('makes one index of the vectors again when many small additions have made it many', {
	timeout: 60_000,
}, async () => {
	await using lance = await openLance({ vectors: 400, fields: 400 });
	const { folder, store } = lance;
	const shape = { ...SHAPE, table: 'parts-a', dimensions: 8 };
	const make = (at: number) => ({
		...row(`d${at}`, 'guard'),
		vector: Float32Array.from({ length: 8 }, (_, index) => (index === at % 8 ? 1 : 0)),
	});
	const writer = await store.writer(shape);
	const raw = await connect(folder);
	try {
		const rows = Array.from({ length: 400 }, (_, at) => make(at));
		await writer.write([], rows);
		const parts: number[] = [];
		for (let more = 0; more < 12; more++) {
			await writer.seal([]);
			const table = await raw.openTable(shape.table);
			parts.push((await table.indexStats('vector_idx'))?.numIndices ?? 0);
			table.close();
			await writer.write([], [make(400 + more)]);
		}
		expect(parts[0]).toBe(1);
		expect(Math.max(...parts)).toBeGreaterThan(1);
		expect(Math.max(...parts)).toBeLessThanOrEqual(8);
	} finally {
		raw.close();
		writer.close();
	}
});

it('finds the nearest rows exactly behind a filter that few rows pass, whatever the index holds of their vectors', {
	timeout: 60_000,
}, async () => {
	await using lance = await openLance({ vectors: 1_000, fields: 1_000 });
	const { store } = lance;
	const random = seededRandom(3);
	const unit = () => {
		const vector = Float32Array.from({ length: 64 }, () => random.next() - 0.5);
		const length = Math.hypot(...vector);
		return vector.map((value) => value / length);
	};
	const shape = { ...SHAPE, table: 'rare-a', dimensions: 64 };
	const rows = Array.from({ length: 20_000 }, (_, at) => ({
		...row(`d${at}`, 'guard', { fields: { product: at % 500 === 0 ? 'rare' : 'usual' } }),
		vector: unit(),
	}));
	const writer = await store.writer(shape);
	try {
		await writer.write([], rows);
		const { version } = await writer.seal([]);
		const reader = await store.reader({ table: shape.table, version });
		for (const value of ['rare', 'usual']) {
			let misses = 0;
			for (let asked = 0; asked < 10; asked++) {
				const query = unit();
				const filter = { field: 'product', is: 'equal', value } as const;
				const ask = { limit: 10, filter, timeoutMs: 10_000 };
				const exact = await reader.vector(query, { ...ask, exact: true });
				const near = await reader.vector(query, { ...ask, exact: false });
				misses += exact.filter(({ row, score }, at) => near[at]?.row !== row || near[at]?.score !== score).length;
			}
			// The scores of the index are close, and not the same: that it is asked shows.
			expect(misses > 0).toBe(value === 'usual');
		}
		reader.close();
	} finally {
		writer.close();
	}
});

it('goes on in new sessions through a long build, also under a reading, and still meets another writer', {
	timeout: 60_000,
}, async () => {
	await using lance = await openLance();
	const { store } = lance;
	const shape = { ...SHAPE, table: 'long-a', dimensions: null };
	const make = (at: number) => ({ ...row(`d${at}`, 'guard'), vector: null });
	const writer = await store.writer(shape);
	try {
		for (let at = 0; at < 60; at++) await writer.write([], [make(at)]);
		const reading = writer.documents()[Symbol.asyncIterator]();
		const seen = [(await reading.next()).value ?? []];
		for (let at = 60; at < 140; at++) await writer.write([], [make(at)]);
		for (let next = await reading.next(); !next.done; next = await reading.next()) seen.push(next.value);
		expect(
			seen
				.flat()
				.map(({ documentId }) => documentId)
				.sort(),
		).toEqual(Array.from({ length: 60 }, (_, at) => `d${at}`).sort());
		const other = await store.writer(shape);
		await other.write([], [make(140)]);
		other.close();
		await expect(writer.write([], [make(141)])).rejects.toMatchObject({ code: 'index_conflict' });
		const last = await store.writer(shape);
		expect((await last.seal([])).chunks).toBe(141);
		last.close();
	} finally {
		writer.close();
	}
});
