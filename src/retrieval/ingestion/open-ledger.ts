import { type IngestionConfig, rulesOf } from '../../contracts/document-rules.ts';
import type { IndexReader, IndexWriter } from '../../spec/index-store.ts';
import { staleness } from './fit-document.ts';
import { Ledger } from './ledger.ts';

/**
 * The documents of a table and of the live generation.
 * @param live null: no generation is live, or it is in another table.
 * @param now milliseconds since the epoch: what is too old by then is marked.
 */
export async function openLedger(
	table: IndexWriter,
	live: IndexReader | null,
	{ config, now }: { config: IngestionConfig; now: number },
): Promise<Ledger> {
	const ledger = new Ledger();
	const ages = [config.documents, ...Object.values(config.sources)].some(({ freshness }) => freshness !== null);
	if (ages) {
		for await (const { source, documentId, contentHash, ordinal, fields } of table.summaries()) {
			if (ordinal > 0) continue;
			const slot = ledger.slot(source, documentId);
			ledger.setWritten(slot, contentHash);
			if (staleness(fields, rulesOf(config, source), now)) ledger.setStale(slot);
		}
	} else {
		for await (const { source, documentId, contentHash } of table.documents()) {
			ledger.setWritten(ledger.slot(source, documentId), contentHash);
		}
	}
	if (!live) return ledger;
	for await (const { source, documentId, contentHash } of live.documents()) {
		ledger.setLive(ledger.slot(source, documentId), contentHash);
	}
	return ledger;
}
