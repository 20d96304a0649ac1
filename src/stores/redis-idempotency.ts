import { z } from 'zod';
import type {
	Effect,
	IdempotencyBounds,
	IdempotencyStore,
	KeyClaim,
	KeyHolder,
	KeyState,
	StoredResponse,
} from '../spec/idempotency.ts';
import { effectLine, readEffects, readResponse, writeHead } from './idempotency-row.ts';
import { CLAIM, COMPLETE, HOLD } from './redis-idempotency-scripts.ts';
import type { RedisLink } from './redis-link.ts';
import type { RedisScript } from './redis-scripts.ts';
import { keysUnavailable } from './unavailable.ts';

const words = z.array(z.string());

/**
 * Idempotency records in Redis 7 or Valkey, shared by all replicas: one script, one round trip for each operation. Time
 * comes from the callers, whose clocks should agree within a second or so. Records expire by themselves.
 */
export class RedisIdempotency implements IdempotencyStore {
	readonly #link: RedisLink;
	readonly #bounds: IdempotencyBounds;

	/** @param link stays open when this is closed: others use it too. */
	constructor(link: RedisLink, bounds: IdempotencyBounds) {
		this.#link = link;
		this.#bounds = bounds;
	}

	isUp(): boolean {
		return this.#link.isReady;
	}

	async claim(claim: KeyClaim): Promise<KeyState> {
		const { fingerprint, requestId, leaseUntil, expiresAt } = claim;
		const reply = await this.#run(CLAIM, claim, [
			claim.now,
			[fingerprint, requestId, leaseUntil, expiresAt, this.#bounds.recordsMax],
		]);
		try {
			return readState(words.parse(reply));
		} catch (thrown) {
			throw keysUnavailable(thrown);
		}
	}

	renew(holder: KeyHolder, leaseUntil: number): Promise<boolean> {
		return this.#hold(holder, 'lease', leaseUntil);
	}

	beginEffect(holder: KeyHolder, effect: Effect): Promise<boolean> {
		return this.#hold(holder, 'begin', effectLine(effect));
	}

	voidEffect(holder: KeyHolder, effect: Effect): Promise<boolean> {
		return this.#hold(holder, 'void', effectLine(effect));
	}

	release(holder: KeyHolder): Promise<boolean> {
		return this.#hold(holder, 'release', '');
	}

	async complete(
		holder: KeyHolder,
		{ response, now, expiresAt }: { response: StoredResponse | null; now: number; expiresAt: number },
	): Promise<boolean> {
		const body = response?.body ?? '';
		const reply = await this.#run(COMPLETE, holder, [
			now,
			[
				holder.requestId,
				expiresAt,
				response === null ? 0 : 1,
				response === null ? '' : writeHead(response),
				body,
				Buffer.byteLength(body),
				this.#bounds.bytesMax,
			],
		]);
		return reply === 1;
	}

	/** Nothing to do: Redis forgets by itself what has expired. */
	async sweep(): Promise<number> {
		return 0;
	}

	async close(): Promise<void> {}

	async #hold(holder: KeyHolder, act: string, value: string | number): Promise<boolean> {
		return (await this.#run(HOLD, holder, [0, [holder.requestId, act, value]])) === 1;
	}

	async #run(
		script: RedisScript,
		{ tenantId, keyHash }: { tenantId: string; keyHash: string },
		[now, values]: readonly [now: number, values: readonly (string | number)[]],
	): Promise<unknown> {
		const tenant = `${this.#link.prefix}:{${tenantId}}:idempotency`;
		const keys = [`${tenant}:${keyHash}`, `${tenant}-records`, `${tenant}-bodies`, `${tenant}-bytes`];
		try {
			return await this.#link.run(script, keys, [now, `${tenant}:`, keyHash, ...values]);
		} catch (thrown) {
			throw keysUnavailable(thrown);
		}
	}
}

function readState([kind, requestId = '', third = '', body = '']: readonly string[]): KeyState {
	switch (kind) {
		case 'claimed':
		case 'reused':
		case 'full':
			return { kind };
		case 'running':
		case 'not_stored':
			return { kind, requestId };
		case 'unknown':
			return { kind, requestId, effects: readEffects(third) };
		case 'stored':
			return { kind, requestId, response: readResponse(third, body) };
		default:
			throw new Error(`a claim was answered with ${kind}`);
	}
}
