import { jsonDifferences } from '../base/json-difference.ts';
import type { GenerationRecord } from '../spec/generations.ts';
import type { Difference, DocumentList, GenerationDiff } from '../spec/index-admin.ts';
import type { IndexStore } from '../spec/index-store.ts';
import { documentKey, documentRef } from './document-key.ts';
import { openIndex } from './live-index.ts';
import { parseManifest } from './manifest.ts';

/** Documents that each list names. */
const NAMED_MAX = 100;

/** Compares two sealed generations, document by document where both have their rows. */
export async function diffGenerations(
	store: IndexStore,
	left: GenerationRecord,
	right: GenerationRecord,
): Promise<GenerationDiff> {
	return {
		left: left.generation,
		right: right.generation,
		documents: left.removedAt === null && right.removedAt === null ? await diffDocuments(store, left, right) : null,
		settings: diffSettings(left, right),
	};
}

async function diffDocuments(store: IndexStore, left: GenerationRecord, right: GenerationRecord) {
	const before = await documentsOf(store, left);
	const after = await documentsOf(store, right);
	const added = [...after.keys()].filter((key) => !before.has(key));
	const removed = [...before.keys()].filter((key) => !after.has(key));
	const changed = [...before].filter(([key, hash]) => after.has(key) && after.get(key) !== hash).map(([key]) => key);
	const same = before.size - removed.length - changed.length;
	return { added: listed(added), removed: listed(removed), changed: listed(changed), same };
}

async function documentsOf(store: IndexStore, record: GenerationRecord): Promise<Map<string, string>> {
	const { reader } = await openIndex(store, parseManifest(record), { fresh: true });
	try {
		const hashes = new Map<string, string>();
		for await (const documents of reader.documents()) {
			for (const { source, documentId, contentHash } of documents) {
				hashes.set(documentKey(source, documentId), contentHash);
			}
		}
		return hashes;
	} finally {
		reader.close();
	}
}

function listed(keys: readonly string[]): DocumentList {
	const some = [...keys].sort().slice(0, NAMED_MAX).map(documentRef);
	return { count: keys.length, some: some.map(({ source, documentId }) => ({ source, document: documentId })) };
}

function diffSettings(left: GenerationRecord, right: GenerationRecord): Difference[] {
	return jsonDifferences(comparable(left), comparable(right));
}

/** What says how a generation was built and what is in it, without what is its own in any case. */
function comparable(record: GenerationRecord): unknown {
	const manifest = parseManifest(record);
	const { generation, sequence, version, hash, digest, readAt, createdByRun, previous, fingerprint, ...built } =
		manifest;
	return { ...built, statistics: record.statistics };
}
