import { Census } from './ingestion/conserve.ts';
import { StatisticsCounter } from './ingestion/statistics.ts';
import type { LiveIndex } from './live-index.ts';
import type { Candidate, CensusOutcome } from './verification.ts';

/** Holds what the store gives back against what the run knows of every document, and counts what is in it, in one reading. */
export async function takeCensus(
	{ reader }: LiveIndex,
	{ run, embedder }: { run: NonNullable<Candidate['run']>; embedder: Candidate['embedder'] },
): Promise<CensusOutcome> {
	const census = new Census(run.ledger);
	const counter = new StatisticsCounter(embedder?.identity.tokensMax ?? null);
	for await (const chunks of reader.summaries()) {
		for (const chunk of chunks) {
			counter.add(chunk);
			if (chunk.document) census.add(chunk.document);
		}
	}
	return { conservation: census.conclude(run.terms), statistics: counter.statistics };
}

/** Without what a run knows: the documents are counted. @param statistics as they were taken when it was built. */
export async function countDocuments({ reader, manifest }: LiveIndex, statistics: unknown): Promise<CensusOutcome> {
	let stored = 0;
	for await (const documents of reader.documents()) stored += documents.length;
	const message = `${stored} documents are stored, the manifest says ${manifest.documents}`;
	const detail = { stored, manifest: manifest.documents };
	return { conservation: { passed: stored === manifest.documents, message, detail }, statistics };
}
