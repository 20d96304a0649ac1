import { type Clock, nextTurn, sleep } from '../../base/clock.ts';
import type { CollectionConfig } from '../../contracts/collection.ts';
import { PlimsollError } from '../../spec/errors.ts';
import type {
	DeleteOrder,
	PurgeOrder,
	PurgeReceipt,
	PushAdmin,
	PushedView,
	PushOrder,
	PushReceipt,
	PushResult,
	PushRun,
	Refused,
	StoredSource,
} from '../../spec/push.ts';
import type { PushedDocument, PushedEntry, PushPlace, Stored } from '../../spec/pushed.ts';
import type { RecordStore } from '../../spec/records.ts';
import type { Ingester } from '../../spec/retrieval.ts';
import type { Catalogue } from '../catalogue.ts';
import type { CollectionQueue } from '../collection-queue.ts';
import type { Housekeeping } from '../housekeeping.ts';
import type { ConfigOf } from '../sources/access.ts';
import { storedDocument } from './push-document.ts';
import { type AskedRun, PushRuns } from './push-runs.ts';
import { statesOf } from './push-states.ts';

/** What is looked at, or written in one transaction, at once: the event loop goes on between two of them. */
const SLICE_DOCUMENTS = 50;
const SLICE_BYTES = 1_048_576;
/** What becomes of documents that are stored then. */
const STORED = new Set<PushResult['outcome']>(['new', 'changed', 'unchanged']);

interface Parts {
	readonly catalogue: Catalogue;
	readonly records: RecordStore;
	readonly ingester: Ingester;
	readonly housekeeping: Pick<Housekeeping, 'eraseIndex'>;
	readonly queue: CollectionQueue;
	readonly clock: Clock;
	readonly ids: (prefix: string) => string;
}

interface Place extends PushPlace {
	readonly config: CollectionConfig;
	readonly settings: ConfigOf<'push'>;
}

/** Takes documents in, and says what became of them. */
export class PushDesk implements PushAdmin {
	readonly #parts: Parts;
	readonly #runs: PushRuns;

	constructor(parts: Parts) {
		this.#parts = parts;
		this.#runs = new PushRuns(parts);
	}

	close(): void {
		this.#runs.close(
			new PlimsollError('server_draining', 'Plimsoll is stopping; the next start reads what is stored.'),
		);
	}

	/** A new configuration is in force. */
	update(): void {
		this.#runs.resume((collection) => this.#parts.catalogue.has(collection));
	}

	async push(order: PushOrder): Promise<PushReceipt> {
		const place = this.#place(order);
		const { clock, records } = this.#parts;
		const given = { collection: place.config, source: place.settings, tenant: order.tenant, now: clock.now() };
		const read = await this.#read(order.documents, given);
		const taken = withoutDoubles(read);
		const stored = await this.#store(place, [...taken.values()], order.tenant);
		const results = read.map((one) => resultOf(one, taken, stored));
		const mark = await records.pushed.mark(place.collection);
		const isPending = mark.sequence > mark.ingested;
		const isStored = results.some(({ outcome }) => outcome !== 'refused');
		const run = isStored && isPending ? this.#ask(place, order.accept) : null;
		return this.#receipt(place, { run, results }, order);
	}

	async remove(order: DeleteOrder): Promise<PushReceipt> {
		const place = this.#place(order);
		const removed = await this.#parts.records.pushed.remove(place, order.ids, this.#tenantIn(place, order.tenant));
		const results = order.ids.map(
			(id, at): PushResult => ({ id, outcome: removed[at] ? 'deleted' : 'absent', state: null, refused: null }),
		);
		const run = removed.includes(true) ? this.#ask(place, false) : null;
		return this.#receipt(place, { run, results }, order);
	}

	async purge(order: PurgeOrder): Promise<PurgeReceipt> {
		const { catalogue, records } = this.#parts;
		const place = await this.#leftOver(order);
		if (place && !catalogue.has(place.collection)) return this.#purgeRemoved(place, order);
		const { collection, source, settings = null } = place ?? this.#place(order);
		const purged = await records.pushed.purge({ collection, source }, order.ids);
		await order.onPurged(source, purged);
		await records.forgetDocuments({ collection, source }, order.ids);
		const run = this.#runs.ask(collection, { batchMs: settings?.batchMs ?? 0, accept: false });
		const ended = await this.#ended(run, order);
		return { source, runId: run.runId, isDone: ended?.problem === null, problem: ended?.problem ?? null, purged };
	}

	async stored(): Promise<readonly StoredSource[]> {
		const places = await this.#parts.records.pushed.places();
		return places.map((place) => ({ ...place, isConfigured: this.#isConfigured(place) }));
	}

	async list(ask: Parameters<PushAdmin['list']>[0]) {
		const place = this.#place(ask);
		const { after, limit } = ask;
		const tenant = this.#tenantIn(place, ask.tenant);
		const found = await this.#parts.records.pushed.list({ ...place, after, limit, tenant });
		const states = await statesOf(this.#parts, place, found);
		const documents = found.map((entry) => viewOf(entry, states));
		return { documents, next: found.length < limit ? null : (found.at(-1)?.id ?? null) };
	}

	async find(ask: Parameters<PushAdmin['find']>[0]): Promise<PushedView> {
		const place = this.#place(ask);
		const tenant = this.#tenantIn(place, ask.tenant);
		const [entry] = await this.#parts.records.pushed.find(place, [ask.id]);
		if (entry && (tenant === null || entry.tenant === tenant)) {
			return viewOf(entry, await statesOf(this.#parts, place, [entry]));
		}
		const id = ask.id.slice(0, 100);
		throw new PlimsollError(
			'document_not_found',
			`${place.collection} holds no pushed document "${id}" in ${place.source}.`,
		);
	}

	async run(collection: string, runId: string): Promise<PushRun> {
		const { catalogue, records } = this.#parts;
		catalogue.state(collection);
		const nothing = { startedAt: null, endedAt: null, error: null, generation: null };
		if (this.#runs.isAsked(collection, runId)) return { id: runId, collection, state: 'queued', ...nothing };
		const found = await records.findRun(collection, runId);
		if (!found) throw new PlimsollError('run_not_found', `${collection} has no run "${runId.slice(0, 100)}".`);
		const { id, outcome: state, startedAt, endedAt, error, report } = found;
		return { id, collection, state, startedAt, endedAt, error, generation: report?.generation ?? null };
	}

	/** No run can write the index of a collection anew that is not configured: it goes as a whole, and serves nobody. */
	#purgeRemoved(place: PushPlace, { ids, onPurged, signal }: PurgeOrder): Promise<PurgeReceipt> {
		const { catalogue, records, housekeeping, queue } = this.#parts;
		const { collection, source } = place;
		const missing = (why: string) => new PlimsollError('request_invalid', `${collection} ${why}.`, { param: 'ids' });
		if (ids !== null) {
			throw missing('is not in the configuration, and only all of a source can be purged; or put it back and name ids');
		}
		const purge = async (): Promise<PurgeReceipt> => {
			if (catalogue.has(collection)) throw missing('has come back to the configuration meanwhile; try again');
			// The store last: as long as it holds something, or the purge is not settled, it can be asked for again.
			await housekeeping.eraseIndex(collection);
			await records.forgetDocuments(place, null);
			const purged = await records.pushed.purge(place, null);
			await onPurged(source, purged);
			const { sequence } = await records.pushed.mark(collection);
			await records.pushed.settle(collection, { sequence, cleared: true });
			return { source, runId: null, isDone: true, problem: null, purged };
		};
		return queue.run(collection, purge, signal);
	}

	/** What an order means that the store has and the configuration does not; null: something that it has, or nothing. */
	async #leftOver({ collection, source }: PurgeOrder): Promise<(PushPlace & { readonly settings?: null }) | null> {
		const held = (await this.#parts.records.pushed.places()).filter((place) => place.collection === collection);
		const left = held.filter((place) => !this.#isConfigured(place));
		if (source !== null) return left.some((place) => place.source === source) ? { collection, source } : null;
		const [only] = left;
		if (only === undefined || this.#pushesOf(collection).length > 0) return null;
		if (left.length === 1) return { collection, source: only.source };
		const names = left.map((place) => place.source).join(', ');
		const why = `${collection} has several sources that are not in the configuration; name one of ${names}.`;
		throw new PlimsollError('push_source_unknown', why, { param: 'source' });
	}

	#isConfigured({ collection, source }: PushPlace): boolean {
		return this.#pushesOf(collection).some(({ name }) => name === source);
	}

	#pushesOf(collection: string) {
		const { catalogue } = this.#parts;
		if (!catalogue.has(collection)) return [];
		return catalogue.state(collection).config.sources.filter((one) => one.kind === 'push');
	}

	#place({ collection, source }: { collection: string; source: string | null }): Place {
		const { config } = this.#parts.catalogue.state(collection);
		const pushes = this.#pushesOf(collection);
		const [only] = pushes;
		const settings = source === null ? (pushes.length === 1 ? only : null) : pushes.find(({ name }) => name === source);
		if (settings) return { collection, source: settings.name, config, settings };
		const names = pushes.map(({ name }) => name).join(', ');
		const why =
			pushes.length === 0
				? `${collection} has no source of kind push`
				: source === null
					? `${collection} has several sources of kind push; name one of ${names}`
					: `${collection} has no source ${source.slice(0, 100)} of kind push; it has ${names}`;
		throw new PlimsollError('push_source_unknown', `${why}.`, { param: 'source' });
	}

	/** As they are stored. */
	async #read(documents: PushOrder['documents'], given: Parameters<typeof storedDocument>[1]) {
		const read: (PushedDocument | Refused)[] = [];
		let bytes = 0;
		for (const one of documents) {
			const stored = 'code' in one ? one : storedDocument(one, given);
			read.push(stored);
			bytes += 'code' in stored ? 0 : stored.body.byteLength;
			if (bytes < SLICE_BYTES && read.length % SLICE_DOCUMENTS > 0) continue;
			bytes = 0;
			await nextTurn();
		}
		return read;
	}

	/** Documents of a collection that does not keep tenants apart are everybody's. */
	#tenantIn({ config }: Place, tenant: string | null): string | null {
		return config.access?.tenantField ? tenant : null;
	}

	async #store(
		place: Place,
		documents: readonly PushedDocument[],
		asked: string | null,
	): Promise<ReadonlyMap<string, Stored>> {
		const { storedDocumentsMax: documentsMax, storedBytesMax: bytesMax } = place.settings;
		const tenant = this.#tenantIn(place, asked);
		const stored = new Map<string, Stored>();
		for (const slice of slices(documents)) {
			const outcomes = await this.#parts.records.pushed.put(place, slice, { documentsMax, bytesMax, tenant });
			slice.forEach(({ id }, at) => {
				stored.set(id, outcomes[at] ?? 'full');
			});
			await nextTurn();
		}
		return stored;
	}

	#ask({ collection, settings }: Place, accept: boolean): AskedRun {
		return this.#runs.ask(collection, { batchMs: settings.batchMs, accept });
	}

	async #receipt(
		place: Place,
		{ run, results }: { run: AskedRun | null; results: readonly PushResult[] },
		order: { waitMs: number; signal: AbortSignal },
	): Promise<PushReceipt> {
		const ended = run === null ? { problem: null } : await this.#ended(run, order);
		const stored = results.filter(({ outcome }) => STORED.has(outcome)).map(({ id }) => id);
		const entries = stored.length > 0 ? await this.#parts.records.pushed.find(place, stored) : [];
		const states = await statesOf(this.#parts, place, entries);
		return {
			source: place.source,
			runId: run?.runId ?? null,
			isDone: ended !== null && ended.problem === null,
			problem: ended?.problem ?? null,
			results: results.map((result) =>
				result.outcome === 'refused' ? result : { ...result, state: states.get(result.id) ?? null },
			),
		};
	}

	/** Null when it goes on after the wait. */
	async #ended(
		{ ended }: AskedRun,
		{ waitMs, signal }: { waitMs: number; signal: AbortSignal },
	): Promise<{ problem: string | null } | null> {
		if (waitMs === 0) return null;
		const left = new AbortController();
		const either = AbortSignal.any([signal, left.signal]);
		const late = sleep(this.#parts.clock, waitMs, either).then(
			() => null,
			() => null,
		);
		const problem = ended.then((reason) => ({ problem: reason }));
		return Promise.race([problem, late]).finally(() => left.abort());
	}
}

/** One of each id. Which one is meant when two differ is unknown: then it is none. */
function withoutDoubles(read: readonly (PushedDocument | Refused)[]): ReadonlyMap<string, PushedDocument> {
	const byId = Map.groupBy(
		read.flatMap((one) => ('code' in one ? [] : [one])),
		({ id }) => id,
	);
	const single = [...byId].flatMap(([id, [first, ...others]]) =>
		first && others.every(({ hash }) => hash === first.hash) ? [[id, first] as const] : [],
	);
	return new Map(single);
}

function resultOf(
	one: PushedDocument | Refused,
	taken: ReadonlyMap<string, PushedDocument>,
	stored: ReadonlyMap<string, Stored>,
): PushResult {
	const { id } = one;
	const refused = (code: Refused['code'], reason: string): PushResult => {
		return { id, outcome: 'refused', state: null, refused: { code, reason } };
	};
	if ('code' in one) return refused(one.code, one.reason);
	const first = taken.get(id);
	if (!first) return refused('duplicate_id', 'the request holds this id twice, with different content');
	const outcome = stored.get(id) ?? 'full';
	if (outcome === 'full') {
		return refused('storage_full', 'the source holds as much as stored_documents_max and stored_bytes_max allow');
	}
	if (outcome === 'taken') return refused('other_tenant', 'another document of the collection has this id');
	return { id, outcome: one === first ? outcome : 'unchanged', state: null, refused: null };
}

function* slices(documents: readonly PushedDocument[]): Generator<PushedDocument[]> {
	let slice: PushedDocument[] = [];
	let bytes = 0;
	for (const document of documents) {
		slice.push(document);
		bytes += document.body.byteLength;
		if (slice.length < SLICE_DOCUMENTS && bytes < SLICE_BYTES) continue;
		yield slice;
		slice = [];
		bytes = 0;
	}
	if (slice.length > 0) yield slice;
}

function viewOf(entry: PushedEntry, states: Awaited<ReturnType<typeof statesOf>>): PushedView {
	const { id, source, format, title, bytes, hash, pushedAt } = entry;
	const state = states.get(id) ?? { state: 'pending', reasons: [], kept: false };
	return { id, source, format, title, bytes, hash, pushedAt, ...state };
}
