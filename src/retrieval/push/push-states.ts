import type { PushState } from '../../spec/push.ts';
import type { PushedEntry, PushPlace } from '../../spec/pushed.ts';
import type { RecordStore } from '../../spec/records.ts';
import type { Catalogue } from '../catalogue.ts';
import { entryId } from '../ingestion/quarantine-log.ts';

const TIMEOUT_MS = 10_000;

/** How stored documents stand, by id: looked up in the quarantine and in the live index, and not concluded. */
export async function statesOf(
	{ records, catalogue }: { records: RecordStore; catalogue: Catalogue },
	{ collection, source }: PushPlace,
	entries: readonly PushedEntry[],
): Promise<ReadonlyMap<string, PushState>> {
	const { ingested } = await records.pushed.mark(collection);
	const read = entries.filter(({ sequence }) => sequence <= ingested);
	const states = new Map<string, PushState>();
	for (const { id } of entries) states.set(id, { state: 'pending', reasons: [], kept: false });
	const { index } = catalogue.state(collection);
	const refs = read.map(({ id }) => ({ source, documentId: id }));
	const found = index && refs.length > 0 ? await index.reader.openings(refs, { chunks: 1, timeoutMs: TIMEOUT_MS }) : [];
	const live = new Set(found.map(({ documentId }) => documentId));
	const leftOut = await records.quarantine.findAll(read.map(({ id }) => entryId(collection, { source, document: id })));
	const left = new Map(leftOut.map((entry) => [entry.document, entry]));
	for (const { id } of read) {
		const out = left.get(id);
		if (out) {
			const { kind, reasons, kept } = out;
			states.set(id, { state: kind === 'misfit' ? 'quarantined' : 'failed', reasons, kept });
		} else if (live.has(id)) states.set(id, { state: 'live', reasons: [], kept: false });
		else states.set(id, { state: 'failed', reasons: ['it is not in the index, and why is not listed'], kept: false });
	}
	return states;
}
