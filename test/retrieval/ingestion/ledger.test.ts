import { createHash } from 'node:crypto';
import { expect, it } from 'vitest';
import { sha256 } from '../../../src/base/hash.ts';
import { seededRandom } from '../../../src/base/random.ts';
import { Ledger } from '../../../src/retrieval/ingestion/ledger.ts';

/** More than its first pages hold. */
const DOCUMENTS = 40_000;

/** What stands for the digest of documents with their content hashes: the first 128 bits of each, by key, as little-endian words. */
function digestOf(written: ReadonlyMap<string, string>): string {
	const digest = createHash('sha256');
	const entries = [...written].map(([id, hash]) => [sha256(`a\u0000${id}`), hash] as const);
	for (const pair of entries.sort(([a], [b]) => (a < b ? -1 : 1))) {
		for (const hex of pair) digest.update(Buffer.from(hex.slice(0, 32), 'hex').swap32());
	}
	return digest.digest('hex');
}

it('knows of many documents what it was told, in whatever order, and its digest is that of the documents in the table', () => {
	const random = seededRandom(5);
	const ledger = new Ledger();
	const written = new Map<string, string>();
	const live = new Map<string, string>();
	for (let step = 0; step < 2 * DOCUMENTS; step++) {
		const id = `d${Math.floor(random.next() * DOCUMENTS)}`;
		const slot = ledger.slot('a', id);
		const hash = sha256(`${step}`);
		if (random.next() < 0.1) {
			ledger.setRemoved(slot);
			written.delete(id);
		} else if (random.next() < 0.2) {
			ledger.setLive(slot, hash);
			live.set(id, hash);
		} else {
			ledger.setWritten(slot, hash);
			written.set(id, hash);
		}
	}
	for (let n = 0; n < DOCUMENTS; n++) {
		const id = `d${n}`;
		const slot = ledger.find('a', id);
		if (slot < 0) {
			expect([written.has(id), live.has(id)]).toEqual([false, false]);
			continue;
		}
		expect(ledger.isWritten(slot)).toBe(written.has(id));
		expect(ledger.isWrittenAs(slot, written.get(id) ?? sha256('another'))).toBe(written.has(id));
		expect(ledger.isLive(slot)).toBe(live.has(id));
		expect(ledger.isUnchanged(slot)).toBe(live.has(id) && live.get(id) === written.get(id));
		expect(ledger.isWrittenAs(slot, sha256('another'))).toBe(false);
	}
	expect(ledger.written()).toEqual({ a: written.size });
	expect(ledger.digest()).toBe(digestOf(written));
	expect(new Ledger().digest()).toBe(digestOf(new Map()));
});
