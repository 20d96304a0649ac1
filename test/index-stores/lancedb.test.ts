import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { LanceStore } from '../../src/index-stores/lancedb/store.ts';
import { indexStoreSuite } from './index-store.suite.ts';

indexStoreSuite('LanceDB', async () => {
	const folder = await mkdtemp(join(tmpdir(), 'plimsoll-lance-'));
	const store = new LanceStore(folder);
	await store.open();
	return {
		store,
		end: async () => {
			store.close();
			await rm(folder, { recursive: true });
		},
	};
});
