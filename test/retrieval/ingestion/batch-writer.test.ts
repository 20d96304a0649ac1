import fc from 'fast-check';
import { expect, it } from 'vitest';
import { sha256 } from '../../../src/base/hash.ts';
import { documentKey } from '../../../src/retrieval/document-key.ts';
import { EmbeddingBudget } from '../../../src/retrieval/embedding/embedding-budget.ts';
import { BatchWriter, type Pending } from '../../../src/retrieval/ingestion/batch-writer.ts';
import { Ledger } from '../../../src/retrieval/ingestion/ledger.ts';
import type { IndexRow } from '../../../src/spec/index-store.ts';

const BATCH = 512;
const COMMIT_MAX = 4_096;

function open() {
	const commits: (readonly IndexRow[])[] = [];
	const ledger = new Ledger();
	const ended: string[] = [];
	const writer = new BatchWriter({
		embedder: null,
		budget: new EmbeddingBudget(null),
		table: { write: async (_, rows) => void commits.push(rows) },
		ledger,
		signal: new AbortController().signal,
	});
	/** A document of so many chunks of so many characters. */
	const pending = (id: string, chunks: number, chars = 10): Pending => {
		const body = 'x'.repeat(chars);
		const passage = { documentId: id, source: 'a', title: id, headingPath: [], text: body, start: 0, end: chars };
		const rows = Array.from({ length: chunks }, (_, ordinal) => ({
			...{ ...passage, chunkId: `${id}#${ordinal}`, ordinal, tokens: 1, fields: {} },
			...{ body, textAt: 0, contentHash: sha256(id) },
		}));
		return {
			...{ slot: ledger.slot('a', id), key: documentKey('a', id), hash: sha256(id), rows },
			texts: rows.map((row) => row.body),
			ended: (failure) => void ended.push(failure ?? id),
		};
	};
	return { writer, commits, ended, ledger, pending };
}

/** What `make` gives for 0, 1, 2 …, one after the other; then it fails where a run breaks off. */
async function* each(count: number, make: (n: number) => Pending, breaksOff = false): AsyncGenerator<Pending> {
	for (let n = 0; n < count; n++) yield make(n);
	if (breaksOff) throw new Error('the source is gone');
}

const nothing = async () => {};
const chunkIds = (commits: readonly (readonly IndexRow[])[]) => commits.flat().map(({ chunkId }) => chunkId);

it('every document is committed once, whole and in order, and no commit takes more than its part of the run', async () => {
	const sizes = fc.array(fc.integer({ min: 1, max: 700 }), { maxLength: 120 });
	await fc.assert(
		fc.asyncProperty(sizes, async (documents) => {
			const { writer, commits, ended, ledger, pending } = open();
			const all = documents.map((chunks, n) => pending(`d${n}`, chunks));
			await writer.writeAll(
				each(all.length, (n) => all[n] as Pending),
				nothing,
			);
			expect(chunkIds(commits)).toEqual(all.flatMap(({ rows }) => rows.map(({ chunkId }) => chunkId)));
			expect(ended).toEqual(all.map((_, n) => `d${n}`));
			expect(all.every(({ slot, hash }) => ledger.isWrittenAs(slot, hash))).toBe(true);
			let before = 0;
			for (const { length } of commits) {
				// What a batch has in excess is less than its last document.
				expect(length).toBeLessThan(Math.max(BATCH, before / 64) + BATCH + 700);
				before += length;
			}
		}),
		{ numRuns: 30 },
	);
});

it('a long run makes few commits, each of bounded size', async () => {
	const { writer, commits, pending } = open();
	const chunks = 300_000;
	await writer.writeAll(
		each(chunks / 100, (n) => pending(`d${n}`, 100)),
		nothing,
	);
	expect(commits.length).toBeLessThan(64 + 64 * Math.log(chunks / (64 * BATCH)) + chunks / COMMIT_MAX);
	expect(Math.max(...commits.map(({ length }) => length))).toBeLessThan(COMMIT_MAX + BATCH + 100);
});

it('large chunks are committed by their size', async () => {
	const { writer, commits, pending } = open();
	const chars = 100_000;
	await writer.writeAll(
		each(600, (n) => pending(`d${n}`, 1, chars)),
		nothing,
	);
	const largest = Math.max(...commits.map((rows) => rows.reduce((all, { body }) => all + body.length, 0)));
	expect(largest).toBeLessThan(16_777_216 + 8_388_608 + chars);
});

it('a run that breaks off leaves all in the table but the batch that was being gathered', async () => {
	await fc.assert(
		fc.asyncProperty(fc.integer({ min: 0, max: 60_000 }), async (chunks) => {
			const { writer, commits, pending } = open();
			const documents = each(chunks / 16, (n) => pending(`d${n}`, 16), true);
			await expect(writer.writeAll(documents, nothing)).rejects.toThrow('the source is gone');
			const given = Math.ceil(chunks / 16) * 16;
			expect(commits.flat()).toHaveLength(given - (given % BATCH));
		}),
		{ numRuns: 6 },
	);
});
