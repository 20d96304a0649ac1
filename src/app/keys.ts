import { join } from 'node:path';
import type { Clock } from '../base/clock.ts';
import { sha256 } from '../base/hash.ts';
import { randomText } from '../base/ids.ts';
import type { Random } from '../base/random.ts';
import type { KeyView } from '../gateway/operator.ts';
import type { Keyring } from '../runtime/keyring.ts';
import { PlimsollError } from '../spec/errors.ts';
import { type KeyRecord, type RecordStore, SCOPES, type Scope } from '../spec/records.ts';
import { readSecret, writeSecret } from './secret-file.ts';

export const DEVELOPMENT_KEY_FILE = 'development-key';

/** Keys as an operator manages them: every change is on disk and in the keyring before its promise resolves. */
export class KeyAdmin {
	readonly #records: RecordStore;
	readonly #keyring: Keyring;
	readonly #clock: Clock;
	readonly #random: Random;

	constructor(parts: { records: RecordStore; keyring: Keyring; clock: Clock; random: Random }) {
		this.#records = parts.records;
		this.#keyring = parts.keyring;
		this.#clock = parts.clock;
		this.#random = parts.random;
	}

	async load(): Promise<void> {
		this.#keyring.replace(await this.#records.listKeys());
	}

	async list(): Promise<readonly KeyView[]> {
		return (await this.#records.listKeys()).map(withoutHash);
	}

	async create(ask: {
		name: string;
		tenantId: string;
		scopes: readonly Scope[];
	}): Promise<{ key: KeyView; secret: string }> {
		const id = randomText(this.#random, 12);
		const secret = randomText(this.#random, 52);
		const record: KeyRecord = {
			...ask,
			id,
			secretHash: sha256(secret),
			createdAt: this.#clock.now(),
			revokedAt: null,
		};
		await this.#records.putKey(record);
		await this.load();
		return { key: withoutHash(record), secret: `plim_${id}_${secret}` };
	}

	/** Throws `key_not_found`. */
	async revoke(id: string): Promise<void> {
		const revoked = await this.#records.revokeKey(id, this.#clock.now());
		if (!revoked) throw new PlimsollError('key_not_found', `No key with the id "${id.slice(0, 100)}" is in force.`);
		await this.load();
	}

	/** The key of this machine's developer: minted once, kept in a 0600 file of the data folder, minted anew when revoked. */
	async developmentKey(dataDir: string): Promise<{ secret: string; file: string }> {
		const file = join(dataDir, DEVELOPMENT_KEY_FILE);
		const kept = readSecret(file);
		if (kept !== null && this.#isValid(kept)) return { secret: kept, file };
		const { secret } = await this.create({ name: 'development', tenantId: 'default', scopes: SCOPES });
		writeSecret(file, secret);
		return { secret, file };
	}

	#isValid(secret: string): boolean {
		try {
			this.#keyring.identify(secret, 'invoke');
			return true;
		} catch (thrown) {
			if (thrown instanceof PlimsollError && thrown.category !== 'internal') return false;
			throw thrown;
		}
	}
}

function withoutHash({ secretHash: _, ...view }: KeyRecord): KeyView {
	return view;
}
