import { decodeJwt, errors, type JWTPayload, type JWTVerifyGetKey, jwtVerify } from 'jose';
import { canonicalJson } from '../base/canonical-json.ts';
import type { Clock } from '../base/clock.ts';
import { sha256 } from '../base/hash.ts';
import type { HttpClient } from '../base/http.ts';
import type { IssuerConfig } from '../contracts/project.ts';
import { PlimsollError } from '../spec/errors.ts';
import type { Caller } from '../spec/identity.ts';
import { callerFrom } from './claims.ts';
import { keySet, RemoteKeys, type SigningKeys, staticKeys } from './signing-keys.ts';
import { VerifiedTokens } from './verified-tokens.ts';

/** Longer ones are refused unread. */
const TOKEN_CHARS_MAX = 8_192;

/** Keys that are tried for a token which does not say by which of several it was signed. */
const CANDIDATES_MAX = 8;

interface Parts {
	readonly clock: Clock;
	readonly http: HttpClient;
	readonly warn: (message: string) => void;
}

interface Issuer {
	readonly config: IssuerConfig;
	readonly keys: SigningKeys;
}

/** Verifies JWTs (RFC 7519, by the rules of RFC 8725) of the configured issuers. */
export class TokenVerifier {
	readonly #parts: Parts;
	readonly #verified = new VerifiedTokens();
	/** By `iss`. */
	#issuers: ReadonlyMap<string, Issuer> = new Map();

	constructor(parts: Parts, issuers: readonly IssuerConfig[]) {
		this.#parts = parts;
		this.update(issuers);
	}

	/** Whether there is anybody whose tokens could be valid. */
	get active(): boolean {
		return this.#issuers.size > 0;
	}

	/** Puts other issuers in force at once. One whose keys are where they were keeps those it has fetched. */
	update(issuers: readonly IssuerConfig[]): void {
		const kept = [...this.#issuers.values()];
		const next = issuers.map((config): [string, Issuer] => {
			const same = kept.find((one) => canonicalJson(one.config.keys) === canonicalJson(config.keys));
			return [config.issuer, { config, keys: same?.keys ?? this.#keysOf(config) }];
		});
		this.#issuers = new Map(next);
		this.#verified.clear();
	}

	/** Begins to fetch what will be needed, so that the first token need not wait for it. */
	prepare(): void {
		for (const { keys } of this.#issuers.values()) keys.usable();
	}

	/**
	 * The caller that a token proves, at once when it was verified before. Refuses with `token_expired` what is genuine
	 * but too old, with `identity_unavailable` what cannot be checked, and in one set of words everything else.
	 */
	authenticate(token: string): Caller | Promise<Caller> {
		if (token.length > TOKEN_CHARS_MAX) throw invalid();
		const hash = sha256(token);
		const known = this.#verified.get(hash);
		const issuer = known && this.#issuers.get(known.issuer);
		if (known && issuer?.keys.usable() && known.generation === issuer.keys.generation) {
			const now = this.#parts.clock.now();
			if (now >= known.verifiedAt && now < known.validUntil) return known.caller;
			this.#verified.delete(hash);
			if (now >= known.validUntil) throw expired();
		}
		return this.#verify(token, hash);
	}

	async #verify(token: string, hash: string): Promise<Caller> {
		const issuer = this.#issuerOf(token);
		if (issuer === null) throw invalid();
		const { config, keys } = issuer;
		// Before the keys are used: whatever replaces them meanwhile makes the result one to verify again.
		const { generation } = keys;
		const verifiedAt = this.#parts.clock.now();
		const payload = await this.#checked(token, issuer);
		const caller = callerFrom(payload, config);
		if (caller === null) throw invalid();
		if (this.#issuers.get(config.issuer) === issuer) {
			const until = validUntil(payload, config);
			this.#verified.put(hash, { caller, issuer: config.issuer, generation, verifiedAt, validUntil: until });
		}
		return caller;
	}

	/** The claims of a genuine token that is valid now. */
	async #checked(token: string, { config, keys }: Issuer): Promise<JWTPayload> {
		const options = {
			issuer: config.issuer,
			audience: config.audience,
			algorithms: [...config.algorithms],
			clockTolerance: config.clockSkewS,
			maxTokenAge: config.ageMaxS,
			requiredClaims: ['exp'],
			currentDate: new Date(this.#parts.clock.now()),
		};
		try {
			return (await jwtVerify(token, keys.find, options)).payload;
		} catch (thrown) {
			if (thrown instanceof errors.JWKSMultipleMatchingKeys) {
				const payload = await anyOf(thrown, (key) => jwtVerify(token, async () => key, options));
				if (payload !== null) return payload;
			}
			throw refusal(thrown);
		}
	}

	/** Whose the token says it is, which nothing has proved yet. */
	#issuerOf(token: string): Issuer | null {
		try {
			return this.#issuers.get(decodeJwt(token).iss ?? '') ?? null;
		} catch (thrown) {
			throw refusal(thrown);
		}
	}

	#keysOf({ keys }: IssuerConfig): SigningKeys {
		switch (keys.kind) {
			case 'jwks':
				return new RemoteKeys(keys.url, this.#parts);
			case 'file':
				return staticKeys(keySet(keys.set));
			case 'secret': {
				const secret = new TextEncoder().encode(keys.secret);
				return staticKeys(async () => secret);
			}
		}
	}
}

/**
 * The first instant at which jose would call the token expired, milliseconds since the epoch. It counts in whole seconds:
 * expired at `exp`, but only after the greatest age.
 */
function validUntil({ exp = 0, iat = 0 }: JWTPayload, { ageMaxS, clockSkewS }: IssuerConfig): number {
	return Math.min(Math.ceil(exp + clockSkewS), Math.floor(iat + ageMaxS + clockSkewS) + 1) * 1000;
}

type FoundKey = Awaited<ReturnType<JWTVerifyGetKey>>;

/** Null when no candidate fits the signature. Throws what is wrong with a genuine token. */
async function anyOf(
	candidates: errors.JWKSMultipleMatchingKeys,
	verify: (key: FoundKey) => Promise<{ payload: JWTPayload }>,
): Promise<JWTPayload | null> {
	let tried = 0;
	for await (const key of candidates) {
		if (++tried > CANDIDATES_MAX) return null;
		try {
			return (await verify(key)).payload;
		} catch (thrown) {
			if (!(thrown instanceof errors.JWSSignatureVerificationFailed)) throw refusal(thrown);
		}
	}
	return null;
}

/** What the client is told. Why a token is not genuine is told to nobody: it would help whoever forges one. */
function refusal(thrown: unknown): PlimsollError {
	if (thrown instanceof PlimsollError) return thrown;
	// Only thrown for a token whose signature, issuer and audience are right.
	if (thrown instanceof errors.JWTExpired) return expired();
	return invalid(thrown);
}

function invalid(cause?: unknown): PlimsollError {
	return new PlimsollError('token_invalid', 'The token is not valid.', cause === undefined ? {} : { cause });
}

function expired(): PlimsollError {
	return new PlimsollError('token_expired', 'The token has expired.');
}
