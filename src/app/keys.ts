import { join } from 'node:path';
import type { Clock } from '../base/clock.ts';
import { sha256 } from '../base/hash.ts';
import { randomText } from '../base/ids.ts';
import type { Random } from '../base/random.ts';
import type { KeyRotation, KeyView, NewKey } from '../gateway/operator.ts';
import type { Keyring } from '../identity/keyring.ts';
import { asPlimsollError, PlimsollError } from '../spec/errors.ts';
import { type AuditEntry, type KeyRecord, type RecordStore, SCOPES } from '../spec/records.ts';
import { readSecret, writeSecret } from './secret-file.ts';

export const DEVELOPMENT_KEY_FILE = 'development-key';

/** How an entry of the audit log names a command on this machine, and the server itself. */
export const PROCESS_ACTOR = 'process';

/** How often uses of keys are written, milliseconds: one transaction for all keys together. */
const USES_MS = 60_000;

/** Keys as an operator manages them: every change is on disk and in the keyring before its promise resolves. */
export class KeyAdmin {
	readonly #records: RecordStore;
	readonly #keyring: Keyring;
	readonly #clock: Clock;
	readonly #random: Random;
	readonly #onWritten: (keys: readonly KeyRecord[]) => Promise<void>;

	/** @param parts.onWritten told which keys were changed, once they are on disk and in force. */
	constructor(parts: {
		records: RecordStore;
		keyring: Keyring;
		clock: Clock;
		random: Random;
		onWritten?: (keys: readonly KeyRecord[]) => Promise<void>;
	}) {
		this.#records = parts.records;
		this.#keyring = parts.keyring;
		this.#clock = parts.clock;
		this.#random = parts.random;
		this.#onWritten = parts.onWritten ?? (async () => {});
	}

	async load(): Promise<void> {
		this.#keyring.replace(await this.#records.listKeys());
	}

	async list(): Promise<readonly KeyView[]> {
		const keys = await this.#records.listKeys();
		return keys.map((key) => withoutHash({ ...key, lastUsedAt: this.#keyring.lastUsedAt(key.id) ?? key.lastUsedAt }));
	}

	/** Throws `request_invalid` for an expiry that has passed. */
	async create(ask: NewKey, actor: string): Promise<{ key: KeyView; secret: string }> {
		const { record, secret } = this.#mint(ask);
		await this.#records.putKey(record, this.#entry(record, { actor, action: 'key_created', detail: rightsOf(record) }));
		await this.written(({ id }) => id === record.id);
		return { key: withoutHash(record), secret };
	}

	/** A key with the same rights; the old one expires after the overlap. Throws `key_not_found`, `request_invalid`. */
	async rotate(id: string, ask: KeyRotation, actor: string): Promise<{ key: KeyView; secret: string }> {
		const old = (await this.#records.listKeys()).find((key) => key.id === id);
		if (!old) throw notInForce(id);
		const at = this.#clock.now();
		const life = old.expiresAt === null ? null : at + (old.expiresAt - old.createdAt);
		const { record, secret } = this.#mint({ ...rights(old), expiresAt: ask.expiresAt ?? life });
		const expiresAt = at + ask.overlapMs;
		const detail = { replaced_by: record.id, old_key_until: new Date(expiresAt).toISOString() };
		const entry = this.#entry(old, { actor, action: 'key_rotated', detail });
		const rotated = await this.#records.rotateKey({ id, at, expiresAt, replacement: record, entry });
		if (!rotated) throw notInForce(id);
		await this.written((key) => key.id === id || key.id === record.id);
		return { key: withoutHash(record), secret };
	}

	/** Throws `key_not_found`. */
	async revoke(id: string, actor: string): Promise<void> {
		const key = (await this.#records.listKeys()).find((one) => one.id === id);
		if (!key) throw notInForce(id);
		const entry = this.#entry(key, { actor, action: 'key_revoked', detail: {} });
		const revoked = await this.#records.revokeKey(id, this.#clock.now(), entry);
		if (!revoked) throw notInForce(id);
		await this.written((one) => one.id === id);
	}

	/** Puts what was written in force, and tells of the keys that were changed. */
	async written(isChanged: (key: KeyRecord) => boolean): Promise<void> {
		const all = await this.#records.listKeys();
		this.#keyring.replace(all);
		await this.#onWritten(all.filter(isChanged));
	}

	/** The key of this machine's developer: minted once, kept in a 0600 file of the data folder, minted anew when revoked. */
	async developmentKey(dataDir: string): Promise<{ secret: string; file: string }> {
		const file = join(dataDir, DEVELOPMENT_KEY_FILE);
		const kept = readSecret(file);
		if (kept !== null && this.#isValid(kept)) return { secret: kept, file };
		const ask: NewKey = { name: 'development', tenantId: 'default', scopes: SCOPES, features: null, expiresAt: null };
		const { secret } = await this.create(ask, PROCESS_ACTOR);
		writeSecret(file, secret);
		return { secret, file };
	}

	/** Writes when keys were used, once a minute and at the end. Returns what ends it. */
	recordUses(warn: (message: string) => void): () => Promise<void> {
		let cancel = () => {};
		let ended = false;
		const next = () => {
			// A write that was under way at the end begins no further round.
			if (!ended) cancel = this.#clock.after(USES_MS, () => void this.#writeUses(warn).then(next));
		};
		next();
		return async () => {
			ended = true;
			cancel();
			await this.#writeUses(warn);
		};
	}

	async #writeUses(warn: (message: string) => void): Promise<void> {
		const uses = this.#keyring.takeUses();
		if (uses.length === 0) return;
		try {
			await this.#records.touchKeys(uses);
		} catch (thrown) {
			// Kept for the next round: requests go on without it.
			this.#keyring.returnUses(uses);
			warn(`the last use of ${uses.length} keys could not be written: ${asPlimsollError(thrown).message}`);
		}
	}

	#mint(ask: NewKey): { record: KeyRecord; secret: string } {
		const createdAt = this.#clock.now();
		if (ask.expiresAt !== null && ask.expiresAt <= createdAt) {
			throw new PlimsollError('request_invalid', 'expires_at: the key would have expired already.', {
				param: 'expires_at',
			});
		}
		const id = randomText(this.#random, 12);
		const secret = randomText(this.#random, 52);
		const record: KeyRecord = {
			...ask,
			id,
			secretHash: sha256(secret),
			createdAt,
			revokedAt: null,
			lastUsedAt: null,
		};
		return { record, secret: `plim_${id}_${secret}` };
	}

	#entry(key: KeyRecord, what: Pick<AuditEntry, 'actor' | 'action' | 'detail'>): AuditEntry {
		return { at: this.#clock.now(), subject: key.id, tenantId: key.tenantId, ...what };
	}

	#isValid(secret: string): boolean {
		try {
			this.#keyring.identify(secret);
			return true;
		} catch (thrown) {
			if (thrown instanceof PlimsollError && thrown.category !== 'internal') return false;
			throw thrown;
		}
	}
}

/** Whether a key would be let in. */
export function isInForce({ revokedAt, expiresAt }: KeyView, now: number): boolean {
	return revokedAt === null && (expiresAt === null || expiresAt > now);
}

function rights({ name, tenantId, scopes, features }: KeyRecord): Omit<NewKey, 'expiresAt'> {
	return { name, tenantId, scopes, features };
}

function rightsOf({ name, scopes, features, expiresAt }: KeyRecord): AuditEntry['detail'] {
	return {
		name,
		scopes: scopes.join(' '),
		features: features?.join(' ') ?? null,
		expires_at: expiresAt === null ? null : new Date(expiresAt).toISOString(),
	};
}

function notInForce(id: string): PlimsollError {
	return new PlimsollError('key_not_found', `No key with the id "${id.slice(0, 100)}" is in force.`);
}

function withoutHash({ secretHash: _, ...view }: KeyRecord): KeyView {
	return view;
}
