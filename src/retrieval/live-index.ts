import type { IndexReader, IndexStore } from '../spec/index-store.ts';
import type { Manifest } from './manifest.ts';

/** An index generation opened for reading. */
export interface LiveIndex {
	readonly manifest: Manifest;
	readonly reader: IndexReader;
}

/**
 * Opens a generation and holds it to its manifest. Throws when it is damaged.
 * @param fresh past every cache; the caller closes its reader.
 */
export async function openIndex(store: IndexStore, manifest: Manifest, { fresh = false } = {}): Promise<LiveIndex> {
	const place = { table: manifest.table, version: manifest.version };
	const reader = await (fresh ? store.freshReader(place) : store.reader(place));
	if (reader.chunks !== manifest.chunks) {
		reader.close();
		throw new Error(`it holds ${reader.chunks} chunks, its manifest says ${manifest.chunks}`);
	}
	return { manifest, reader };
}

/** Reads everything of a generation. Throws when it holds something else than was verified. Returns its digest. */
export async function readWhole({ manifest, reader }: LiveIndex): Promise<string | null> {
	const { rows, digest } = await reader.readEverything();
	if (rows !== manifest.chunks) throw new Error(`${rows} of ${manifest.chunks} chunks can be read`);
	if (digest !== null && (manifest.digest ?? digest) !== digest) {
		throw new Error('its rows are not those that were verified: something changed its files');
	}
	return digest;
}
