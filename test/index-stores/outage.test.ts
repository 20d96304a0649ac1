import { expect, it } from 'vitest';
import { LanceStore } from '../../src/index-stores/lancedb/store.ts';
import type { IndexPlace } from '../../src/spec/index-store.ts';
import { collection, folderSource, openRetrievalFixture, retrievalConfig } from '../support/retrieval-fixture.ts';

/** A store whose tables cannot be reached for a while. */
class RemoteStore extends LanceStore {
	isAway = false;
	readonly setAsideTables: string[] = [];

	override async reader(place: IndexPlace) {
		if (this.isAway) throw new Error('error sending request for url: ConnectionRefused');
		return super.reader(place);
	}

	override setAside(table: string, at: number) {
		this.setAsideTables.push(table);
		return super.setAside(table, at);
	}
}

it('an index that cannot be reached is not taken for damaged: nothing is built anew, and an ingestion finds it again', async () => {
	let isAway = false;
	const stores: RemoteStore[] = [];
	const openStore = (folder: string) => {
		const store = new RemoteStore(folder);
		store.isAway = isAway;
		stores.push(store);
		return store;
	};
	const configure = (dir: string) => retrievalConfig([collection([folderSource(dir)])]);
	const fixture = await openRetrievalFixture(configure, undefined, { openStore });
	await fixture.write({ 'guards.md': '# Guards\n\nA guard checks the answer.' });
	const { generation } = await fixture.ingest();
	isAway = true;
	await fixture.restart();
	expect(fixture.warnings.join('\n')).toContain(`Generation ${generation} of docs cannot be reached now`);
	expect([...fixture.alerts.keys()]).toEqual([]);
	await expect(fixture.search('guard')).rejects.toMatchObject({ code: 'index_not_ready' });
	await expect(fixture.ingest()).rejects.toMatchObject({ code: 'index_not_ready' });
	for (const store of stores) store.isAway = false;
	expect(await fixture.ingest()).toMatchObject({ generation, promoted: false });
	expect((await fixture.search('guard')).hits).toHaveLength(1);
	expect(stores.flatMap((store) => store.setAsideTables)).toEqual([]);
	await fixture.close();
});
