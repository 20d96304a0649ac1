import { SumHash } from '../base/sum-hash.ts';
import type { DocumentRef, IndexReader, IndexStore } from '../spec/index-store.ts';
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

/** Reads everything of a generation. Throws when it holds something else than was verified, or the signal's reason. Returns its digest. */
export async function readWhole({ manifest, reader }: LiveIndex, signal?: AbortSignal): Promise<string | null> {
	const { rows, digest } = await reader.readEverything(signal);
	if (rows !== manifest.chunks) throw new Error(`${rows} of ${manifest.chunks} chunks can be read`);
	if (digest !== null && (manifest.digest ?? digest) !== digest) {
		throw new Error('its rows are not those that were verified: something changed its files');
	}
	return digest;
}

/** A generation of which every row is known, and all documents in which a later one of its table differs. */
export interface Base {
	readonly index: LiveIndex;
	readonly documents: readonly DocumentRef[];
}

/**
 * Reads the rows in which a generation differs from the one it was made of. Throws when one cannot be read, or when other rows
 * came or went. Returns the digest that all of its rows must have: that of before without what went, with what came.
 */
export async function readChanges(
	{ manifest, reader }: LiveIndex,
	{ index, documents }: Base,
	signal: AbortSignal,
): Promise<string | null> {
	const gone = await index.reader.readDocuments(documents, signal);
	const come = await reader.readDocuments(documents, signal);
	const chunks = index.manifest.chunks - gone.rows + come.rows;
	if (chunks !== manifest.chunks) {
		throw new Error(
			`it holds ${manifest.chunks} chunks, and ${chunks} are left of ${index.manifest.generation} with its changes`,
		);
	}
	const { digest = null } = index.manifest;
	if (digest === null || gone.digest === null || come.digest === null) return null;
	return SumHash.of(digest).minus(SumHash.of(gone.digest)).plus(SumHash.of(come.digest)).hex;
}
