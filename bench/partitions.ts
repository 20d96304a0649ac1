import { availableParallelism } from 'node:os';
import { setTimeout } from 'node:timers/promises';
import { systemClock } from '../src/base/clock.ts';
import { seededRandom } from '../src/base/random.ts';
import { createFieldDocuments, openFieldIndex } from '../test/support/field-index.ts';

/** Clients that search the hot partition without a pause. */
const FLOOD = 64;
const SEARCHES = 800;
const DOCUMENTS = 20_000;
const ROUNDS = 5;
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

/** Milliseconds of searches of the cold partition, one after the other. */
async function timesOfCold(): Promise<number[]> {
	const took: number[] = [];
	for (let at = 0; at < SEARCHES; at++) {
		const startedAt = systemClock.monotonic();
		await search('cold');
		took.push(systemClock.monotonic() - startedAt);
	}
	return took;
}

/** What 99 of 100 take at most. */
function p99(times: readonly number[]): number {
	return times.toSorted((a, b) => a - b)[Math.floor(times.length * 0.99)] ?? 0;
}

console.log(
	`${availableParallelism()} cores, ${DOCUMENTS} chunks, ${FLOOD} clients on one partition, Node ${process.version}`,
);
console.log('| round | alone, p99 ms | beside a saturated partition, p99 ms | ratio |\n|---|---|---|---|');
await timesOfCold();
const all = { alone: [] as number[], beside: [] as number[] };
const row = (name: string, alone: readonly number[], beside: readonly number[]) => {
	const [before, after] = [p99(alone), p99(beside)];
	console.log(`| ${name} | ${before.toFixed(2)} | ${after.toFixed(2)} | ${(after / before).toFixed(2)} |`);
	return after / before;
};
for (let round = 1; round <= ROUNDS; round++) {
	const alone = await timesOfCold();
	let isOver = false;
	const clients = Array.from({ length: FLOOD }, () => flood(() => isOver));
	const beside = await timesOfCold();
	isOver = true;
	await Promise.all(clients);
	row(String(round), alone, beside);
	all.alone.push(...alone);
	all.beside.push(...beside);
}
const ratio = row('all', all.alone, all.beside);
for (const view of index.retriever.partitions?.('docs') ?? []) console.log(JSON.stringify(view));
await index.close();
console.log(`ratio ${ratio.toFixed(2)}: ${ratio < WORST_RATIO ? 'below' : 'NOT below'} ${WORST_RATIO}`);
if (ratio >= WORST_RATIO) process.exitCode = 1;
