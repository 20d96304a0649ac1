import { createHmac } from 'node:crypto';
import { randomText } from '../base/ids.ts';
import type { Random } from '../base/random.ts';
import { readSecret, writeSecret } from './secret-file.ts';

export const USER_HASH_KEY_FILE = 'user-hash-key';

/** HMAC-SHA-256 under a secret of this data folder: the same user gives the same hash, and nothing leads back. */
export class UserHash {
	readonly #file: string;
	readonly #random: Random;
	#version: number;
	#secret: string;

	/** Reads the secret file, or makes it. Throws `storage_failed`. */
	constructor(file: string, random: Random) {
		this.#file = file;
		this.#random = random;
		const kept = readSecret(file);
		const [, version, secret] = /^v([1-9]\d{0,8}):(\S+)$/.exec(kept ?? '') ?? [];
		this.#version = Number(version ?? 1);
		// The first release wrote the secret alone: that is version 1.
		this.#secret = secret ?? kept ?? '';
		if (this.#secret === '') this.#replace(1);
	}

	/** `v2:0f3a…`: the secret's version, then 128 bits. Users of different tenants never share a hash. */
	of(tenantId: string, user: string): string {
		const digest = createHmac('sha256', this.#secret).update(`${tenantId}\n${user}`).digest('hex');
		return `v${this.#version}:${digest.slice(0, 32)}`;
	}

	/** Forgets the secret for good and takes a new one. Returns its version. Throws `storage_failed`. */
	rotate(): string {
		this.#replace(this.#version + 1);
		return `v${this.#version}`;
	}

	#replace(version: number): void {
		const secret = randomText(this.#random, 52);
		writeSecret(this.#file, `v${version}:${secret}`);
		this.#version = version;
		this.#secret = secret;
	}
}
