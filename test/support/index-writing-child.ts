import type { ObjectStorage, PostgresPlace } from '../../src/contracts/index-store.ts';
import { LanceStore } from '../../src/index-stores/lancedb/store.ts';
import { PostgresStore } from '../../src/index-stores/postgres/store.ts';
import type { IndexRow, IndexStore, TableShape } from '../../src/spec/index-store.ts';

/** A store that another process can open too. */
export type SharedPlace =
	| { readonly kind: 'lancedb'; readonly folder: string }
	| { readonly kind: 'lancedb'; readonly storage: ObjectStorage }
	| ({ readonly kind: 'postgres' } & PostgresPlace);

export const CHILD_TABLE: TableShape = { table: 'killed-a', dimensions: 4, fields: new Map() };
export const CHUNKS_EACH = 3;

export function openPlace(place: SharedPlace): IndexStore {
	if (place.kind === 'postgres') return new PostgresStore(place);
	return new LanceStore('folder' in place ? place.folder : place.storage);
}

function chunk(documentId: string, ordinal: number): IndexRow {
	const text = `the guard checks part ${ordinal}`;
	return {
		...{ chunkId: `${documentId}#${ordinal}`, source: 'manual', documentId, title: '', headingPath: [], text },
		...{ body: text, textAt: 0, start: 0, end: text.length, ordinal, tokens: 5, fields: {} },
		...{ contentHash: 'h', vector: new Float32Array([1, 0, 0, 0]) },
	};
}

/** Writes documents until it is killed, and says which are acknowledged. */
async function main(place: SharedPlace): Promise<void> {
	const store = openPlace(place);
	await store.open();
	const writer = await store.writer(CHILD_TABLE);
	for (let batch = 0; ; batch++) {
		const ids = Array.from({ length: 40 }, (_, at) => `d${batch}-${at}`);
		const rows = ids.flatMap((id) => Array.from({ length: CHUNKS_EACH }, (_, ordinal) => chunk(id, ordinal)));
		await writer.write([], rows);
		process.stdout.write(`${ids.join(' ')}\n`);
	}
}

if (import.meta.main) await main(JSON.parse(process.argv[2] ?? ''));
