import type { Caller } from '../spec/identity.ts';

/** A token that was verified, by the hash of its text. */
interface VerifiedToken {
	readonly caller: Caller;
	readonly issuer: string;
	/** Of the keys that it was verified with. */
	readonly generation: number;
	/** When, in milliseconds since the epoch. A clock that was set back since then says nothing about the token. */
	readonly verifiedAt: number;
	/** Milliseconds since the epoch: from then on it is expired. */
	readonly validUntil: number;
}

const TOKENS_MAX = 10_000;

/** Tokens that need no second look at their signature; the ones not used for longest make room. */
export class VerifiedTokens {
	readonly #tokens = new Map<string, VerifiedToken>();

	get(hash: string): VerifiedToken | null {
		const token = this.#tokens.get(hash);
		if (token === undefined) return null;
		this.#tokens.delete(hash);
		this.#tokens.set(hash, token);
		return token;
	}

	put(hash: string, token: VerifiedToken): void {
		this.#tokens.set(hash, token);
		if (this.#tokens.size <= TOKENS_MAX) return;
		for (const oldest of this.#tokens.keys()) {
			this.#tokens.delete(oldest);
			return;
		}
	}

	delete(hash: string): void {
		this.#tokens.delete(hash);
	}

	clear(): void {
		this.#tokens.clear();
	}
}
