import { DatabaseSync } from 'node:sqlite';
import { type Clock, sleep } from '../../src/base/clock.ts';
import type { Effect, IdempotencyStore, KeyClaim, KeyHolder, KeyState } from '../../src/spec/idempotency.ts';
import { IDEMPOTENCY_SCHEMA } from '../../src/stores/idempotency-schema.ts';
import { IdempotencyTable, type Operation } from '../../src/stores/idempotency-table.ts';
import type { Dice } from './dice.ts';
import { nameOfKey } from './keyed-request.ts';
import type { Wire } from './wire.ts';
import type { World } from './world.ts';

const BOUNDS = { recordsMax: 100_000, bytesMax: 100_000_000 };

/** A store whose operations all go through one function. */
abstract class Keys implements IdempotencyStore {
	/** What the table answers; which type that is follows from the operation. */
	protected abstract do<T>(operation: Operation): Promise<T>;

	isUp(): boolean {
		return true;
	}
	claim(claim: KeyClaim): Promise<KeyState> {
		return this.do({ kind: 'claim', claim });
	}
	renew(holder: KeyHolder, leaseUntil: number): Promise<boolean> {
		return this.do({ kind: 'renew', holder, leaseUntil });
	}
	beginEffect(holder: KeyHolder, effect: Effect): Promise<boolean> {
		return this.do({ kind: 'begin_effect', holder, effect });
	}
	voidEffect(holder: KeyHolder, effect: Effect): Promise<boolean> {
		return this.do({ kind: 'void_effect', holder, effect });
	}
	complete(holder: KeyHolder, { response, expiresAt }: Parameters<IdempotencyStore['complete']>[1]): Promise<boolean> {
		return this.do({ kind: 'complete', holder, response, expiresAt });
	}
	release(holder: KeyHolder): Promise<boolean> {
		return this.do({ kind: 'release', holder });
	}
	sweep(now: number, max: number): Promise<number> {
		return this.do({ kind: 'sweep', now, max });
	}
	async close(): Promise<void> {}
}

/** A file of records of keys: the real table, in memory. It outlives processes. */
export class KeyFile {
	readonly #db = new DatabaseSync(':memory:');
	#table: IdempotencyTable;

	constructor() {
		for (const migration of IDEMPOTENCY_SCHEMA.migrations) this.#db.exec(migration);
		this.#table = new IdempotencyTable(this.#db, BOUNDS);
	}

	/** A process opens it, after the one before has ended. */
	open(): void {
		this.#table = new IdempotencyTable(this.#db, BOUNDS);
	}

	do<T>(operation: Operation): T {
		return this.#table.batch([operation])[0] as T;
	}

	close(): void {
		this.#db.close();
	}
}

/** The records of all processes, behind a network. */
export class SharedKeys extends Keys {
	readonly #file: KeyFile;
	readonly #wire: Wire;

	constructor(file: KeyFile, wire: Wire) {
		super();
		this.#file = file;
		this.#wire = wire;
	}

	protected do<T>(operation: Operation): Promise<T> {
		return this.#wire.send(`key ${operation.kind}`, async () => this.#file.do<T>(operation));
	}
}

/** The records of one place, on its disk. */
export class OwnKeys extends Keys {
	readonly #file: KeyFile;
	readonly #parts: { readonly world: World; readonly clock: Clock; readonly dice: Dice };

	constructor(file: KeyFile, parts: { readonly world: World; readonly clock: Clock; readonly dice: Dice }) {
		super();
		this.#file = file;
		this.#parts = parts;
		file.open();
	}

	protected async do<T>(operation: Operation): Promise<T> {
		const { world, clock, dice } = this.#parts;
		await sleep(clock, dice.between(0, 2));
		const result = this.#file.do<T>(operation);
		// It is on disk from here on, whatever becomes of the process.
		world.say(`${operation.kind} of a key is on disk`);
		await sleep(clock, dice.between(0, 1));
		return result;
	}
}

/** Tells the world which answers are on record, as far as the runtime was told so. */
export class ObservedKeys implements IdempotencyStore {
	readonly #inner: IdempotencyStore;
	readonly #world: World;

	readonly #scope: string;

	/** @param scope names those who share the records. */
	constructor(inner: IdempotencyStore, world: World, scope: string) {
		this.#inner = inner;
		this.#world = world;
		this.#scope = scope;
	}

	isUp() {
		return this.#inner.isUp();
	}
	claim(claim: KeyClaim) {
		return this.#inner.claim(claim);
	}
	renew(holder: KeyHolder, leaseUntil: number) {
		return this.#inner.renew(holder, leaseUntil);
	}
	beginEffect(holder: KeyHolder, effect: Effect) {
		return this.#inner.beginEffect(holder, effect);
	}
	voidEffect(holder: KeyHolder, effect: Effect) {
		return this.#inner.voidEffect(holder, effect);
	}
	async complete(holder: KeyHolder, end: Parameters<IdempotencyStore['complete']>[1]) {
		const isKept = await this.#inner.complete(holder, end);
		const key = nameOfKey(this.#scope, holder);
		if (isKept) this.#world.observe({ kind: 'recorded', key, body: end.response?.body ?? null });
		return isKept;
	}
	release(holder: KeyHolder) {
		return this.#inner.release(holder);
	}
	sweep(now: number, max: number) {
		return this.#inner.sweep(now, max);
	}
	close() {
		return this.#inner.close();
	}
}
