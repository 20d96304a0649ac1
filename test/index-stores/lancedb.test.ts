import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CAPABILITIES } from '../../scripts/reference/index-store-capabilities.ts';
import { LanceStore } from '../../src/index-stores/lancedb/store.ts';
import { harmDataset } from './harm-dataset.ts';
import { indexStoreSuite } from './index-store.suite.ts';
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
