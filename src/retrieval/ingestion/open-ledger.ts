import { type IngestionConfig, rulesOf } from '../../contracts/document-rules.ts';
import type { IndexReader, IndexWriter } from '../../spec/index-store.ts';
import { staleness } from './fit-document.ts';
import { Ledger } from './ledger.ts';

/**
 * The documents of a table, to which nothing was written yet, and of the live generation.
 * @param live null: no generation is live, or it is in another table.
 * @param now milliseconds since the epoch: what is too old by then is marked.
 */
export async function openLedger(
	table: IndexWriter,
	live: IndexReader | null,
	{ config, now }: { config: IngestionConfig; now: number },
): Promise<Ledger> {
	const ledger = new Ledger();
	const isLive = live !== null && live.place.version === table.changes.since;
	const write = (slot: number, contentHash: string) => {
		ledger.setWritten(slot, contentHash);
		if (isLive) ledger.setLive(slot, contentHash);
	};
	const ages = [config.documents, ...Object.values(config.sources)].some(({ freshness }) => freshness !== null);
	if (ages) {
		for await (const chunks of table.summaries()) {
			for (const { document } of chunks) {
				if (!document) continue;
				const slot = ledger.slot(document.source, document.documentId);
				write(slot, document.contentHash);
				const stale = staleness((name) => document.field(name), rulesOf(config, document.source), now);
				if (stale) ledger.setStale(slot);
			}
		}
	} else {
		for await (const documents of table.documents()) {
			for (const { source, documentId, contentHash } of documents) write(ledger.slot(source, documentId), contentHash);
		}
	}
	if (!live || isLive) return ledger;
	for await (const documents of live.documents()) {
		for (const { source, documentId, contentHash } of documents) {
			ledger.setLive(ledger.slot(source, documentId), contentHash);
		}
	}
	return ledger;
}
