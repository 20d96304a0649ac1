import { timingSafeEqual } from 'node:crypto';
import type { Clock } from '../base/clock.ts';
import { sha256 } from '../base/hash.ts';
import { PlimsollError } from '../spec/errors.ts';
import type { Caller } from '../spec/identity.ts';
import type { KeyRecord, KeyUse } from '../spec/records.ts';

const KEY_FORM = /^plim_([0-9a-z]{12})_([0-9a-z]{52})$/;

/** Compared against when no key has the id, so that an unknown id takes as long as a wrong secret. */
const NO_HASH = sha256('no such key');

/** A use is noted at most so often, milliseconds: to the minute is enough to find the keys that nobody uses. */
const USE_MS = 60_000;

interface Entry {
	readonly key: KeyRecord;
	readonly caller: Caller;
}

/** The keys that may enter, in memory: checking one touches no disk. */
export class Keyring {
	readonly #clock: Clock;
	#entries: ReadonlyMap<string, Entry> = new Map();
	/** When each key was used last, as noted; holds no more keys than the ring. */
	#uses = new Map<string, number>();
	#unwritten = new Set<string>();

	constructor(clock: Clock) {
		this.#clock = clock;
	}

	/** Replaces all keys at once: a revoked key stops working with this call. */
	replace(keys: readonly KeyRecord[]): void {
		this.#entries = new Map(keys.map((key) => [key.id, { key, caller: callerOf(key) }]));
		this.#uses = new Map(
			keys.flatMap(({ id, lastUsedAt }) => {
				const at = Math.max(this.#uses.get(id) ?? 0, lastUsedAt ?? 0);
				return at > 0 ? [[id, at] as const] : [];
			}),
		);
		this.#unwritten = new Set([...this.#unwritten].filter((id) => this.#entries.has(id)));
	}

	/**
	 * The caller behind a key. Throws `key_invalid`, or `key_expired` to whoever has the right secret; unknown, wrong and
	 * revoked keys are refused in the same words and, but for noise, in the same time.
	 */
	identify(secret: string): Caller {
		const match = KEY_FORM.exec(secret);
		const entry = match ? this.#entries.get(match[1] as string) : undefined;
		const presented = Buffer.from(sha256(match ? (match[2] as string) : secret.slice(0, 256)));
		const same = timingSafeEqual(presented, Buffer.from(entry?.key.secretHash ?? NO_HASH));
		if (!entry || !same || entry.key.revokedAt !== null) {
			throw new PlimsollError('key_invalid', 'The key is not valid: unknown, malformed or revoked.');
		}
		const { id, expiresAt } = entry.key;
		const now = this.#clock.now();
		if (expiresAt !== null && now >= expiresAt) {
			throw new PlimsollError('key_expired', `The key expired at ${new Date(expiresAt).toISOString()}.`);
		}
		if (now - (this.#uses.get(id) ?? 0) >= USE_MS) this.#note(id, now);
		return entry.caller;
	}

	/** The caller behind the id of a key in force; null otherwise. Only for whoever has proved to have had the key. */
	callerOf(id: string): Caller | null {
		const entry = this.#entries.get(id);
		if (!entry || entry.key.revokedAt !== null) return null;
		const { expiresAt } = entry.key;
		return expiresAt !== null && this.#clock.now() >= expiresAt ? null : entry.caller;
	}

	/** When the key was used last, to the minute; also what is not on disk yet. */
	lastUsedAt(id: string): number | null {
		return this.#uses.get(id) ?? null;
	}

	/** Uses that have not been handed out yet: one for each key, however often it was used. */
	takeUses(): readonly KeyUse[] {
		const uses = [...this.#unwritten].flatMap((id) => {
			const at = this.#uses.get(id);
			return at === undefined ? [] : [{ id, at }];
		});
		this.#unwritten.clear();
		return uses;
	}

	/** Gives back uses that could not be written. */
	returnUses(uses: readonly KeyUse[]): void {
		for (const { id } of uses) if (this.#entries.has(id)) this.#unwritten.add(id);
	}

	#note(id: string, now: number): void {
		this.#uses.set(id, now);
		this.#unwritten.add(id);
	}
}

function callerOf({ id, name, tenantId, scopes, features }: KeyRecord): Caller {
	return Object.freeze({ kind: 'key', tenantId, keyId: id, keyName: name, scopes, features, user: null, groups: [] });
}
