import { availableParallelism } from 'node:os';
import { setTimeout } from 'node:timers/promises';
import { systemClock } from '../src/base/clock.ts';
import { seededRandom } from '../src/base/random.ts';
import { createFieldDocuments, openFieldIndex } from '../test/support/field-index.ts';

/** Clients that search the hot partition without a pause. */
const FLOOD = 64;
const SEARCHES = 400;
const DOCUMENTS = 20_000;
const ROUNDS = 3;
const WORST_RATIO = 1.2;

const index = await openFieldIndex(createFieldDocuments(DOCUMENTS, ['hot', 'cold']), new Map([['product', 'text']]), {
	config: { partition: { by: 'product', searchesMax: 1, queuedMax: 0, over: 'shed' } },
});
const random = seededRandom(1);

function search(product: string): Promise<unknown> {
	const query = `word${Math.floor(random.next() * 500)} word${Math.floor(random.next() * 500)}`;
	const where = { field: 'product', equal: product };
	const ask = { collection: 'docs', query, k: 10, mode: 'lexical', filter: null, signal: null } as const;
	return index.retriever.search({ ...ask, where });
}

/** A client that obeys the time it is told to wait. */
async function flood(over: () => boolean): Promise<number> {
	let answered = 0;
	while (!over()) {
		try {
			await search('hot');
			answered++;
		} catch (error) {
			const { retryAfterMs = 50 } = error as { retryAfterMs?: number };
			await setTimeout(retryAfterMs);
		}
	}
	return answered;
}

/** Milliseconds that 99 of 100 searches of the cold partition take at most, one after the other. */
async function p99OfCold(): Promise<number> {
	const took: number[] = [];
	for (let at = 0; at < SEARCHES; at++) {
		const startedAt = systemClock.monotonic();
		await search('cold');
		took.push(systemClock.monotonic() - startedAt);
	}
	return took.sort((a, b) => a - b)[Math.floor(SEARCHES * 0.99)] ?? 0;
}

console.log(
	`${availableParallelism()} cores, ${DOCUMENTS} chunks, ${FLOOD} clients on one partition, Node ${process.version}`,
);
console.log('| round | alone, p99 ms | beside a saturated partition, p99 ms | ratio |\n|---|---|---|---|');
await p99OfCold();
const ratios: number[] = [];
for (let round = 1; round <= ROUNDS; round++) {
	const alone = await p99OfCold();
	let isOver = false;
	const clients = Array.from({ length: FLOOD }, () => flood(() => isOver));
	const beside = await p99OfCold();
	isOver = true;
	await Promise.all(clients);
	ratios.push(beside / alone);
	console.log(`| ${round} | ${alone.toFixed(2)} | ${beside.toFixed(2)} | ${(beside / alone).toFixed(2)} |`);
}
for (const view of index.retriever.partitions?.('docs') ?? []) console.log(JSON.stringify(view));
await index.close();
const median = ratios.sort((a, b) => a - b)[Math.floor(ROUNDS / 2)] ?? 0;
console.log(`median ratio ${median.toFixed(2)}: ${median < WORST_RATIO ? 'below' : 'NOT below'} ${WORST_RATIO}`);
if (median >= WORST_RATIO) process.exitCode = 1;
