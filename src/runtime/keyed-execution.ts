import type { Clock } from '../base/clock.ts';
import { isLasting } from '../policy/idempotency.ts';
import { PlimsollError } from '../spec/errors.ts';
import type { Effect, IdempotencyStore, KeyedAsk, KeyHolder } from '../spec/idempotency.ts';
import { Recording } from './recording.ts';
import type { BegunEffect, EffectLedger, RequestContext } from './request-context.ts';

/** A claim that is not renewed for so long is abandoned: its process is gone. */
export const LEASE_MS = 15_000;
const RENEW_MS = 5_000;

export interface ExecutionParts {
	readonly store: IdempotencyStore;
	readonly clock: Clock;
	readonly retentionMs: number;
	readonly responseBytesMax: number;
	readonly onFailure: 'refuse' | 'run';
	readonly onFault: (error: unknown) => void;
}

/** Makes the response by writing it into the recording. Resolves with what it failed with, or null; never rejects. */
export type Execute = (recording: Recording) => Promise<PlimsollError | null>;

/** The one execution of a key: it holds the claim, writes the ledger, records the response and sees it stored. */
export class KeyedExecution implements EffectLedger {
	readonly fingerprint: string;
	readonly recording: Recording;
	readonly context: RequestContext;
	readonly #parts: ExecutionParts;
	readonly #holder: KeyHolder;
	#error: PlimsollError | null = null;
	#cancelRenewal: () => void = () => {};

	constructor(context: RequestContext, ask: KeyedAsk, parts: ExecutionParts) {
		this.context = context;
		this.fingerprint = ask.fingerprint;
		this.#parts = parts;
		this.#holder = { tenantId: ask.tenantId, keyHash: ask.keyHash, requestId: context.id };
		context.outlivesClient = true;
		context.effects = this;
		// What is recorded is kept until it is stored, although the request has ended.
		context.held?.share();
		this.recording = new Recording({
			bytesMax: parts.responseBytesMax,
			abandoned: () => context.cancel(new PlimsollError('client_closed', 'Nobody waits for the answer any more.')),
		});
	}

	/** What it failed with, once the recording is closed. */
	get error(): PlimsollError | null {
		return this.#error;
	}

	/** Executes, and lets the response end only when it is on record. */
	async run(execute: Execute): Promise<void> {
		this.#renewLater();
		try {
			this.#error = await execute(this.recording);
			await this.#settle();
		} catch (thrown) {
			// The answer exists, and keeping it from its client would help nobody.
			this.#parts.onFault(thrown);
		} finally {
			this.#cancelRenewal();
			this.context.held?.close();
			this.recording.close(this.#error?.category === 'cancelled');
		}
	}

	async begin(effect: Omit<Effect, 'at'>): Promise<BegunEffect> {
		const { store, clock, onFailure } = this.#parts;
		const entry: Effect = { ...effect, at: clock.now() };
		try {
			if (!(await store.beginEffect(this.#holder, entry))) throw lost();
		} catch (thrown) {
			if (thrown instanceof LostKey) throw thrown;
			if (onFailure === 'refuse') {
				// It may have been written all the same, and would then tell of something that is not done.
				void this.#void(entry);
				throw thrown;
			}
			this.#parts.onFault(thrown);
		}
		return { void: () => this.#void(entry) };
	}

	async #void(entry: Effect): Promise<void> {
		try {
			await this.#parts.store.voidEffect(this.#holder, entry);
		} catch (thrown) {
			// The ledger then says more than happened, which refuses too much and repeats nothing.
			this.#parts.onFault(thrown);
		}
	}

	async #settle(): Promise<void> {
		const { store, clock, retentionMs } = this.#parts;
		if (!isLasting(this.#error)) {
			await store.release(this.#holder);
			return;
		}
		const { feature, release, degraded_reason: degradedReason } = this.context.trace;
		const origin = { feature, release, degradedReason, errorCode: this.#error?.code ?? null };
		const now = clock.now();
		const end = { response: this.recording.stored(origin), now, expiresAt: now + retentionMs };
		if (!(await store.complete(this.#holder, end))) throw lost();
	}

	#renewLater(): void {
		const { clock, store, onFault } = this.#parts;
		this.#cancelRenewal = clock.after(RENEW_MS, () => {
			this.#renewLater();
			store.renew(this.#holder, clock.now() + LEASE_MS).then((isHeld) => {
				// Another process took this one for dead: two of them must not go on.
				if (!isHeld) this.context.cancel(lost());
			}, onFault);
		});
	}
}

/** The key went to another process, which took this one for dead. */
class LostKey extends PlimsollError {}

function lost(): LostKey {
	return new LostKey(
		'idempotency_unavailable',
		'Another replica took over the Idempotency-Key; retry with the same key.',
		{
			retryAfterMs: 1_000,
		},
	);
}
