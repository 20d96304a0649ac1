import { createLocalJWKSet, errors, type JWTVerifyGetKey } from 'jose';
import { z } from 'zod';
import type { Clock } from '../base/clock.ts';
import { Deadline } from '../base/deadline.ts';
import type { HttpClient } from '../base/http.ts';
import { wholeBody } from '../base/whole-body.ts';
import type { PublicKeySet } from '../contracts/public-keys.ts';
import { PlimsollError } from '../spec/errors.ts';

type Header = Parameters<JWTVerifyGetKey>[0];
type Token = Parameters<JWTVerifyGetKey>[1];

/** An issuer's signing keys. */
export interface SigningKeys {
	/** Changes whenever the keys do: what was verified with other keys must be verified again. */
	readonly generation: number;
	/** Whether tokens may be accepted now. Also the moment to look for newer keys, which nobody waits for. */
	usable(): boolean;
	/** The key of a header. Throws jose's errors, or `identity_unavailable`. */
	readonly find: JWTVerifyGetKey;
}

/** Keys that the configuration holds. */
export function staticKeys(find: JWTVerifyGetKey): SigningKeys {
	return { generation: 0, usable: () => true, find };
}

/** @param set public keys only. */
export function keySet(set: PublicKeySet): JWTVerifyGetKey {
	return createLocalJWKSet({ keys: set.keys.map((key) => ({ ...key, kty: String(key.kty) })) });
}

/** Fetched keys are looked at again after this time, milliseconds: a withdrawn key stops counting by then. */
const REFRESH_MS = 600_000;
/** While its issuer cannot be reached, keys serve on for so long, milliseconds. */
const STALE_MS_MAX = 86_400_000;
/** Between two fetches, milliseconds, however many tokens name an unknown key. */
const COOL_DOWN_MS = 30_000;
/** The same while there are no keys at all. */
const COLD_COOL_DOWN_MS = 5_000;
const FETCH_MS_MAX = 5_000;
const BYTES_MAX = 262_144;
const KEYS_MAX = 100;
/** Requests that wait for one fetch; more are told to come back. */
const WAITING_MAX = 64;

const jwks = z.object({ keys: z.array(z.looseObject({ kty: z.string() })).max(KEYS_MAX) });

/** Keys behind an address: fetched before the first token, again when they are old or a token names an unknown one. */
export class RemoteKeys implements SigningKeys {
	readonly #url: string;
	readonly #clock: Clock;
	readonly #http: HttpClient;
	readonly #warn: (message: string) => void;
	#keys: JWTVerifyGetKey | null = null;
	#text = '';
	#generation = 0;
	/** Monotonic milliseconds. */
	#fetchedAt = Number.NEGATIVE_INFINITY;
	#triedAt = Number.NEGATIVE_INFINITY;
	#failed = false;
	#running: Promise<void> | null = null;
	#waiting = 0;

	constructor(url: string, parts: { clock: Clock; http: HttpClient; warn: (message: string) => void }) {
		this.#url = url;
		this.#clock = parts.clock;
		this.#http = parts.http;
		this.#warn = parts.warn;
	}

	get generation(): number {
		return this.#generation;
	}

	usable(): boolean {
		if (this.#age() >= REFRESH_MS && this.#running === null && this.#coolDownMs() <= 0) this.#start();
		return this.#age() < STALE_MS_MAX;
	}

	/** A function with its own `this`, since jose calls it. */
	readonly find = async (header: Header, token: Token) => {
		if (!this.usable()) await this.#fetched();
		try {
			return await this.#current()(header, token);
		} catch (thrown) {
			if (!(thrown instanceof errors.JWKSNoMatchingKey)) throw thrown;
			// The key may be new. Within the cool-down the set that was just fetched has the last word.
			if (this.#running === null && this.#coolDownMs() > 0 && !this.#failed) throw thrown;
			await this.#fetched();
			return this.#current()(header, token);
		}
	};

	#current(): JWTVerifyGetKey {
		if (this.#keys === null) throw this.#unavailable();
		return this.#keys;
	}

	/** Waits for a fetch: the one that runs, or a new one when the cool-down is over. */
	async #fetched(): Promise<void> {
		if (this.#running === null && this.#coolDownMs() > 0) throw this.#unavailable();
		if (this.#waiting >= WAITING_MAX) throw this.#unavailable();
		this.#waiting++;
		try {
			await (this.#running ?? this.#start());
		} finally {
			this.#waiting--;
		}
		if (this.#failed) throw this.#unavailable();
	}

	/** Never rejects: `#failed` says how it went. */
	#start(): Promise<void> {
		this.#triedAt = this.#clock.monotonic();
		this.#running = this.#fetch()
			.then((text) => {
				this.#accept(text);
				this.#failed = false;
			})
			.catch((thrown: unknown) => {
				this.#failed = true;
				const why = thrown instanceof Error ? thrown.message : String(thrown);
				this.#warn(`the signing keys at ${this.#url} could not be fetched: ${why}`);
			})
			.finally(() => {
				this.#running = null;
			});
		return this.#running;
	}

	#accept(text: string): void {
		if (text !== this.#text) {
			this.#keys = createLocalJWKSet(jwks.parse(JSON.parse(text)));
			this.#text = text;
			this.#generation++;
		}
		this.#fetchedAt = this.#clock.monotonic();
	}

	async #fetch(): Promise<string> {
		const deadline = new Deadline(this.#clock, () => new Error(`no answer within ${FETCH_MS_MAX} ms`));
		deadline.set(FETCH_MS_MAX);
		try {
			const { statusCode, body } = await this.#http.request({
				url: this.#url,
				method: 'GET',
				headers: { accept: 'application/json' },
				body: null,
				signal: deadline.signal,
			});
			try {
				if (statusCode !== 200) throw new Error(`it answered with the status ${statusCode}`);
				return await textOf(body);
			} finally {
				// Ends what was not read; its error has been told already.
				body.on('error', () => {}).destroy();
			}
		} catch (thrown) {
			throw deadline.signal.aborted ? deadline.signal.reason : thrown;
		} finally {
			deadline.dispose();
		}
	}

	#age(): number {
		return this.#clock.monotonic() - this.#fetchedAt;
	}

	#coolDownMs(): number {
		const ms = this.#age() < STALE_MS_MAX ? COOL_DOWN_MS : COLD_COOL_DOWN_MS;
		return this.#triedAt + ms - this.#clock.monotonic();
	}

	#unavailable(): PlimsollError {
		return new PlimsollError('identity_unavailable', 'The token cannot be checked at the moment.', {
			retryAfterMs: Math.max(1000, this.#coolDownMs()),
			internal: `no usable keys from ${this.#url}`,
		});
	}
}

async function textOf(body: AsyncIterable<Buffer>): Promise<string> {
	const whole = await wholeBody(body, BYTES_MAX);
	if (whole === null) throw new Error(`it answered with more than ${BYTES_MAX} bytes`);
	return whole.toString('utf8');
}
