import { type Clock, sleep } from '../base/clock.ts';
import type { AuditEntry, RecordStore, SharedChange } from '../spec/records.ts';
import type { SharedDirectory } from '../spec/shared-directory.ts';
import { changeDetail } from './settings-change.ts';
import { readShared, type SharedRecord, sharedName, writeShared } from './shared-record.ts';

/** What was not heard is found so often, milliseconds; while the directory is away it is tried more often. */
const RECONCILE_MS = 15_000;
const RETRY_MS = 1_000;
/** The longest that an operator's change waits for the directory. */
const ANSWER_MS = 2_000;
/** Replicas that change one record at once take turns; more turns than these, and the next round goes on. */
const TURNS_MAX = 8;

/** How an entry names a change whose maker is known to the replica on which it was made. */
const REPLICA_ACTOR = 'replica';

interface ReplicationParts {
	readonly directory: SharedDirectory;
	readonly records: RecordStore;
	readonly clock: Clock;
	readonly warn: (message: string) => void;
	/** Puts what came from others in force. */
	readonly onChanged: () => Promise<void>;
}

/**
 * Keeps keys, tenants and organisations the same on all replicas. A change is on this replica's disk before it is told;
 * the others put it in force as they hear of it. What they did not hear they find when they compare.
 */
export class Replication {
	readonly #parts: ReplicationParts;
	#cancel: () => void = () => {};
	#closed = false;
	/** Something is known here that the directory may not have. */
	#pending = true;
	#seen: string | null = null;
	#warned = false;
	/** Comparisons and what is heard go one after the other. */
	#turn: Promise<void> = Promise.resolve();

	constructor(parts: ReplicationParts) {
		this.#parts = parts;
	}

	/** Whether other replicas may not have heard of a change yet. */
	get pending(): boolean {
		return this.#pending;
	}

	/** Listens, and compares once; resolves when that is done or the directory does not answer. */
	async start(): Promise<void> {
		this.#parts.directory.listen({
			message: (text) => void this.#inTurn(() => this.#hear(text)),
			joined: () => void this.#inTurn(() => this.#compare()),
		});
		await this.#withinPatience(this.#inTurn(() => this.#compare()));
		this.#later();
	}

	/** Tells of what has been written. Never fails: what cannot be told now is told when the directory is back. */
	async publish(records: readonly SharedRecord[]): Promise<void> {
		// Until it is known to be there, it is not.
		const told = this.#tell(records).then(
			() => true,
			() => false,
		);
		const done = await Promise.race([told, sleep(this.#parts.clock, ANSWER_MS).then(() => false)]);
		if (done) return;
		this.#pending = true;
		this.#complain();
		this.#later();
	}

	async close(): Promise<void> {
		this.#closed = true;
		this.#cancel();
		await this.#withinPatience(this.#turn);
	}

	async #hear(text: string): Promise<void> {
		const shared = readShared(text);
		if (shared !== null) await this.#take([shared]);
	}

	async #compare(): Promise<void> {
		const { directory, records } = this.#parts;
		const { revision, entries } = await directory.list();
		await this.#take([...entries.values()].flatMap((text) => readShared(text) ?? []));
		const keys = (await records.listKeys()).map((key): SharedRecord => ({ kind: 'key', key }));
		const settings = (await records.listSettings()).map((record): SharedRecord => ({ kind: 'settings', record }));
		const unknown = [...keys, ...settings].filter((one) => entries.get(sharedName(one)) !== writeShared(one));
		for (const one of unknown) await this.#put(one, entries.get(sharedName(one)) ?? null);
		this.#seen = revision;
		this.#pending = false;
		this.#warned = false;
	}

	async #tell(records: readonly SharedRecord[]): Promise<void> {
		for (const one of records) await this.#put(one, null);
	}

	/** Puts a record where `expected` stands, or both together where something else does. */
	async #put(mine: SharedRecord, expected: string | null): Promise<void> {
		let seen = expected;
		let shared = mine;
		for (let turn = 0; turn < TURNS_MAX; turn++) {
			const text = writeShared(shared);
			const outcome = await this.#parts.directory.exchange(sharedName(shared), seen, text);
			if (outcome.stored) return;
			seen = outcome.current;
			const theirs = seen === null ? null : readShared(seen);
			if (theirs === null) continue;
			await this.#take([theirs]);
			shared = await this.#own(shared);
			if (writeShared(shared) === seen) return;
		}
		throw new Error(`${sharedName(mine)} is changed by others all the time`);
	}

	/** What this replica knows of a record by now. */
	async #own(shared: SharedRecord): Promise<SharedRecord> {
		const { records } = this.#parts;
		const name = sharedName(shared);
		const all: readonly SharedRecord[] =
			shared.kind === 'key'
				? (await records.listKeys()).map((key) => ({ kind: 'key', key }))
				: (await records.listSettings()).map((record) => ({ kind: 'settings', record }));
		return all.find((one) => sharedName(one) === name) ?? shared;
	}

	/** Takes in what others know, on disk first and then in force. */
	async #take(all: readonly SharedRecord[]): Promise<void> {
		const keys = all.flatMap((one) => (one.kind === 'key' ? [one.key] : []));
		const settings = all.flatMap((one) => (one.kind === 'settings' ? [one.record] : []));
		const now = this.#parts.clock.now();
		const changes = await this.#parts.records.mergeShared({ keys, settings }, (change) => entryOf(change, now));
		if (changes.length > 0) await this.#parts.onChanged();
	}

	#inTurn(run: () => Promise<void>): Promise<void> {
		this.#turn = this.#turn.then(async () => {
			if (this.#closed) return;
			try {
				await run();
			} catch {
				this.#pending = true;
				this.#complain();
			}
		});
		return this.#turn;
	}

	#later(): void {
		this.#cancel();
		if (this.#closed) return;
		this.#cancel = this.#parts.clock.after(this.#pending ? RETRY_MS : RECONCILE_MS, () => void this.#round());
	}

	async #round(): Promise<void> {
		await this.#inTurn(async () => {
			if (this.#pending || (await this.#parts.directory.revision()) !== this.#seen) await this.#compare();
		});
		this.#later();
	}

	#complain(): void {
		if (this.#warned) return;
		this.#warned = true;
		this.#parts.warn(
			'the shared directory of keys and tenants does not answer; other replicas hear of changes when it does',
		);
	}

	async #withinPatience(work: Promise<void>): Promise<void> {
		await Promise.race([work, sleep(this.#parts.clock, ANSWER_MS)]);
	}
}

/** What this replica's log says about a change that another one made. Who made it stands in that one's log. */
function entryOf(change: SharedChange, now: number): AuditEntry | null {
	if (change.kind === 'key') {
		const { before, after } = change;
		if (after.revokedAt === null || before === null || before.revokedAt !== null) return null;
		const detail = { revoked_at: new Date(after.revokedAt).toISOString() };
		return {
			at: now,
			actor: REPLICA_ACTOR,
			action: 'key_revoked',
			subject: after.id,
			tenantId: after.tenantId,
			detail,
		};
	}
	const { before, after } = change;
	return {
		at: now,
		actor: after.changedBy,
		action: `${after.kind}_${after.settings === null ? 'deleted' : 'changed'}`,
		subject: after.name,
		tenantId: after.kind === 'tenant' ? after.name : null,
		detail: { ...changeDetail(before?.settings ?? null, after.settings), via: REPLICA_ACTOR },
	};
}
