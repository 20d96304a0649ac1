import type { Clock } from '../base/clock.ts';
import { nearest } from '../base/nearest.ts';
import type { Alerts } from '../spec/alerts.ts';
import type { AuditEntry } from '../spec/audit.ts';
import { PlimsollError } from '../spec/errors.ts';
import type { GenerationRecord, PointerMove, VerificationReport } from '../spec/generations.ts';
import type { GenerationDiff, IndexAdmin, MoveOrder, RebuildEstimate } from '../spec/index-admin.ts';
import type { IndexStore } from '../spec/index-store.ts';
import type { RecordStore } from '../spec/records.ts';
import type { Catalogue } from './catalogue.ts';
import { DAMAGE } from './checks.ts';
import type { CollectionQueue } from './collection-queue.ts';
import type { EmbedderPool } from './embedding/embedder-pool.ts';
import { ESTIMATE_RUNS, embeddingEstimate } from './embedding/embedding-estimate.ts';
import type { EmbeddingSpaces } from './embedding/spaces.ts';
import { diffGenerations } from './generation-diff.ts';
import type { GenerationVerifier } from './generation-verifier.ts';
import { refusalKey } from './generations.ts';
import type { Housekeeping } from './housekeeping.ts';
import { parseManifest } from './manifest.ts';
import { failures } from './verification.ts';

/** Generations and moves that are listed. */
const LISTED_MAX = 1_000;

interface Parts {
	readonly store: IndexStore;
	readonly catalogue: Catalogue;
	readonly embedders: EmbedderPool;
	readonly spaces: EmbeddingSpaces;
	readonly records: RecordStore;
	readonly clock: Clock;
	readonly alerts: Alerts;
	readonly verifier: GenerationVerifier;
	readonly housekeeping: Housekeeping;
	readonly queue: CollectionQueue;
}

/** Generations in the hands of an operator. */
export class IndexKeeper implements IndexAdmin {
	readonly #parts: Parts;

	constructor(parts: Parts) {
		this.#parts = parts;
	}

	async list(collection: string) {
		const { catalogue, records } = this.#parts;
		catalogue.state(collection);
		return {
			generations: await records.generations.list(collection, LISTED_MAX),
			moves: await records.generations.moves(collection, LISTED_MAX),
		};
	}

	async show(collection: string, generation: string): Promise<GenerationRecord> {
		const { catalogue, records } = this.#parts;
		catalogue.state(collection);
		const found = await records.generations.find(collection, generation);
		if (found) return found;
		const names = (await records.generations.list(collection, LISTED_MAX)).map((record) => record.generation);
		// A number or the beginning of the name is enough where it says which.
		const starts = names.filter(
			(name) => name.startsWith(`${collection}-${generation}-`) || name.startsWith(generation),
		);
		if (starts.length === 1 && starts[0] !== undefined) return this.show(collection, starts[0]);
		const near = nearest(generation, names);
		const hint = near ? ` Did you mean ${near}?` : ` plimsoll index list ${collection} shows them.`;
		throw new PlimsollError('generation_not_found', `${collection} has no generation ${generation}.${hint}`, {
			param: 'generation',
		});
	}

	async diff(collection: string, left: string, right: string): Promise<GenerationDiff> {
		const [a, b] = [await this.show(collection, left), await this.show(collection, right)];
		for (const record of [a, b]) if (record.manifest === null) throw notSealed(record);
		return diffGenerations(this.#parts.store, a, b);
	}

	async verify(collection: string, generation: string, signal: AbortSignal): Promise<VerificationReport> {
		const record = await this.show(collection, generation);
		const report = await this.#check(record, signal);
		await this.#keepReport(record, report);
		const isDamaged = report.checks.some(({ check, passed }) => check === DAMAGE && !passed);
		const { catalogue } = this.#parts;
		if (record.state !== 'live') return report;
		if (isDamaged) await catalogue.examine(collection, { thorough: true });
		else await catalogue.noteRead(record, report.at);
		return report;
	}

	async promote(order: MoveOrder): Promise<PointerMove> {
		const record = await this.show(order.collection, order.generation);
		return this.#move(record, record.state === 'retired' ? 'promotion' : 'overrule', order);
	}

	async rollBack(order: Omit<MoveOrder, 'generation'> & { generation: string | null }): Promise<PointerMove> {
		const { collection } = order;
		const record =
			order.generation === null ? await this.#before(collection) : await this.show(collection, order.generation);
		if (record.state === 'retired') return this.#move(record, 'rollback', order);
		throw new PlimsollError(
			'generation_refused',
			`${record.generation} of ${collection} is ${record.state}; only a generation that was live before can be rolled back to.`,
			{ param: 'generation' },
		);
	}

	collect(collection: string, signal: AbortSignal) {
		const { catalogue, queue, housekeeping } = this.#parts;
		catalogue.state(collection);
		const collected = async () => {
			const removed = await housekeeping.collect(collection);
			await housekeeping.pruneRuns(signal);
			return removed;
		};
		return queue.run(collection, collected, signal);
	}

	async estimate(collection: string): Promise<RebuildEstimate> {
		const { catalogue, embedders, records } = this.#parts;
		const { config, index } = catalogue.state(collection);
		const { embedder: name } = config;
		const embedder = name === null ? null : await embedders.get(name).catch(() => null);
		const runs = await records.listRuns(collection, ESTIMATE_RUNS);
		const estimate = index && embeddingEstimate(index.manifest, { runs, embedder });
		return {
			collection,
			documents: index?.manifest.documents ?? 0,
			chunks: index?.manifest.chunks ?? 0,
			tokens: estimate?.tokens ?? null,
			seconds: estimate?.seconds ?? null,
			costMicros: estimate?.costMicros ?? null,
			priceUnknown: name !== null && embedders.priceOf(name) === null,
		};
	}

	/** The generation that was live before the one that is. */
	async #before(collection: string): Promise<GenerationRecord> {
		const { generations, moves } = await this.list(collection);
		const live = generations.find(({ state }) => state === 'live');
		const from = moves.find(({ to }) => to === live?.generation)?.from;
		const usable = generations.filter(({ state, removedAt }) => state === 'retired' && removedAt === null);
		const found = usable.find(({ generation }) => generation === from) ?? usable[0];
		if (found) return found;
		throw new PlimsollError('generation_refused', `${collection} has no earlier generation that is kept.`);
	}

	async #move(
		record: GenerationRecord,
		kind: PointerMove['kind'],
		order: Omit<MoveOrder, 'generation'>,
	): Promise<PointerMove> {
		const { catalogue, records, clock, alerts } = this.#parts;
		const { collection, generation } = record;
		if (record.state === 'live') {
			throw new PlimsollError('generation_refused', `${generation} of ${collection} is live already.`);
		}
		const report = await this.#check(record, order.signal);
		await this.#keepReport(record, report);
		// What the run found by reading the sources cannot be looked at again without them.
		const found = [...report.checks, ...(record.state === 'refused' ? (record.verification?.checks ?? []) : [])];
		const firm = found.filter(({ passed, overrulable }) => !passed && !overrulable);
		if (firm.length > 0) {
			const reasons = failures({ ...report, checks: firm });
			throw new PlimsollError('generation_refused', `${generation} of ${collection} cannot go live: ${reasons}.`);
		}
		const { actor, why } = order;
		const at = clock.now();
		const from = (await records.generations.live()).find((live) => live.collection === collection)?.generation ?? null;
		const action = kind === 'rollback' ? 'generation_rolled_back' : 'generation_promoted';
		const detail = { from, to: generation, why };
		const entry: AuditEntry = { at, actor, action, subject: collection, tenantId: null, detail };
		await catalogue.promote(record, { kind, from, at, actor, why, entry });
		alerts.resolve(refusalKey(collection));
		return { at, collection, kind, from, to: generation, actor, why };
	}

	/** Everything but the sources is looked at again. */
	async #check(record: GenerationRecord, signal: AbortSignal): Promise<VerificationReport> {
		const { catalogue, embedders, spaces, verifier } = this.#parts;
		if (record.manifest === null || record.removedAt !== null) throw notSealed(record);
		const state = catalogue.state(record.collection);
		const { embedder: name } = state.config;
		const embedder = name === null ? null : await embedders.get(name);
		const space = embedder && (await spaces.register(embedder, signal));
		const evidence = { embedder, space, run: null, base: null, statistics: record.statistics, signal };
		return (await verifier.verify(state, parseManifest(record), evidence)).report;
	}

	/** What a run found by reading the sources stays on record of one that was refused. */
	async #keepReport(record: GenerationRecord, report: VerificationReport): Promise<void> {
		if (record.state === 'refused') return;
		await this.#parts.records.generations.amend(record, { verification: report, verifiedAt: report.at });
	}
}

function notSealed({ collection, generation, state, removedAt }: GenerationRecord): PlimsollError {
	const why = removedAt === null ? `it is ${state} and not sealed` : 'its rows were removed';
	return new PlimsollError('generation_refused', `${generation} of ${collection} cannot be used: ${why}.`, {
		param: 'generation',
	});
}
