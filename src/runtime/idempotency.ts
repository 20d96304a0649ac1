import { sleep } from '../base/clock.ts';
import { asPlimsollError, isErrorCode, PlimsollError } from '../spec/errors.ts';
import type { KeyedAsk, KeyState, KeyStoreHealth, StoredResponse } from '../spec/idempotency.ts';
import { type Execute, type ExecutionParts, KeyedExecution, LEASE_MS } from './keyed-execution.ts';
import { draining } from './queue-refusal.ts';
import type { Follower } from './recording.ts';
import type { RequestContext, StepNotes } from './request-context.ts';

export interface IdempotencyParts extends ExecutionParts {
	/** The longest that a request may run, milliseconds: so long a repetition waits for the first one. */
	readonly requestMsMax: () => number;
}

/** What a request with a key turned out to be. */
export type Entry =
	| { readonly kind: 'first'; readonly execution: KeyedExecution }
	| { readonly kind: 'joined'; readonly execution: KeyedExecution }
	| { readonly kind: 'stored'; readonly requestId: string; readonly response: StoredResponse }
	/** The store does not answer, and idempotency.on_failure is run. */
	| { readonly kind: 'unprotected' };

/** A repetition looks again after these, doubling, while another process executes its key. Milliseconds. */
const LOOK_MS = { first: 20, max: 500 };

const SWEEP_EVERY_MS = 60_000;
const SWEEP_BATCH = 500;
const SWEEP_BATCHES_MAX = 20;

/** Holds each key to one execution, and gives its response to everyone who asks with it. */
export class Idempotency {
	readonly #parts: IdempotencyParts;
	/** What this process executes, by tenant and key. */
	readonly #running = new Map<string, KeyedExecution>();
	#cancelSweep: () => void = () => {};
	#isClosed = false;

	constructor(parts: IdempotencyParts) {
		this.#parts = parts;
		this.#sweepLater();
	}

	get health(): KeyStoreHealth {
		const { store, onFailure } = this.#parts;
		return { status: store.isUp() ? 'up' : 'down', onFailure };
	}

	/** admit: claims the key, or finds who has it. Throws one of the `idempotency_…` codes. */
	enter(context: RequestContext, ask: KeyedAsk): Promise<Entry> {
		return context.step('admit', async (notes) => {
			const entry = await this.#find(context, ask);
			notes.detail.idempotency = entry.kind;
			const original = originalOf(entry);
			if (original !== null) notes.detail.replay_of = original;
			return entry;
		});
	}

	/** Executes for a key that was claimed, and delivers to the client that did. */
	async execute({ execution }: Extract<Entry, { kind: 'first' }>, client: Follower, run: Execute): Promise<void> {
		execution.recording.follow(client);
		await execution.run(run);
	}

	/** respond: delivers what another request executes, or has executed. Throws only before anything was delivered. */
	async repeat(
		context: RequestContext,
		entry: Extract<Entry, { kind: 'joined' | 'stored' }>,
		client: Follower,
	): Promise<void> {
		const error = await context.step('respond', (notes) => {
			notes.detail.replay_of = originalOf(entry);
			return entry.kind === 'stored' ? replay(context, entry, client) : join(context, entry.execution, client, notes);
		});
		context.end(error);
	}

	/** Stops what still runs, and waits until what is known of it is on record. */
	async close(): Promise<void> {
		this.#isClosed = true;
		this.#cancelSweep();
		const running = [...this.#running.values()];
		for (const { context } of running) {
			context.cancel(draining());
		}
		await Promise.all(running.map(({ recording }) => recording.closed));
	}

	/** Nothing is awaited here: from the claim on, a client that leaves must not take the execution with it. */
	#begin(context: RequestContext, ask: KeyedAsk): KeyedExecution {
		const execution = new KeyedExecution(context, ask, this.#parts);
		const id = idOf(ask);
		this.#running.set(id, execution);
		void execution.recording.closed.then(() => this.#running.delete(id));
		return execution;
	}

	async #find(context: RequestContext, ask: KeyedAsk): Promise<Entry> {
		const { clock, requestMsMax } = this.#parts;
		// As for a stream: whoever only waits for another's answer costs nothing, and leaves when it has waited enough.
		context.startDeadline(requestMsMax(), true);
		for (let waitMs = LOOK_MS.first; ; waitMs = Math.min(waitMs * 2, LOOK_MS.max)) {
			const here = this.#running.get(idOf(ask));
			if (here) return joined(here, ask);
			const state = await this.#claim(context, ask);
			if (state === null) return { kind: 'unprotected' };
			if (state.kind === 'claimed') {
				if (!context.signal.aborted) return { kind: 'first', execution: this.#begin(context, ask) };
				await this.#parts.store.release({ ...ask, requestId: context.id });
				throw context.signal.reason;
			}
			if (state.kind === 'stored') return { ...state, kind: 'stored' };
			if (state.kind !== 'running') throw refusal(state);
			await sleep(clock, waitMs, context.signal);
		}
	}

	/** Null: the store does not answer, and the request runs all the same. */
	async #claim(context: RequestContext, ask: KeyedAsk): Promise<KeyState | null> {
		const { store, clock, retentionMs, onFailure } = this.#parts;
		const now = clock.now();
		try {
			return await store.claim({
				...ask,
				requestId: context.id,
				now,
				leaseUntil: now + LEASE_MS,
				expiresAt: now + retentionMs,
			});
		} catch (thrown) {
			if (onFailure === 'refuse' || asPlimsollError(thrown).code !== 'idempotency_unavailable') throw thrown;
			return null;
		}
	}

	#sweepLater(): void {
		this.#cancelSweep = this.#parts.clock.after(SWEEP_EVERY_MS, () => void this.#sweep());
	}

	/** Forgets what has expired, a batch at a time, so that claims find their turn in between. */
	async #sweep(): Promise<void> {
		const { store, clock, onFault } = this.#parts;
		try {
			for (let batch = 0; batch < SWEEP_BATCHES_MAX && !this.#isClosed; batch++) {
				if ((await store.sweep(clock.now(), SWEEP_BATCH)) < SWEEP_BATCH) break;
			}
		} catch (thrown) {
			onFault(thrown);
		}
		if (!this.#isClosed) this.#sweepLater();
	}
}

function idOf({ tenantId, keyHash }: KeyedAsk): string {
	return `${tenantId} ${keyHash}`;
}

function originalOf(entry: Entry): string | null {
	if (entry.kind === 'joined') return entry.execution.context.id;
	return entry.kind === 'stored' ? entry.requestId : null;
}

function joined(execution: KeyedExecution, { fingerprint }: KeyedAsk): Entry {
	if (execution.fingerprint !== fingerprint) throw refusal({ kind: 'reused' });
	if (execution.recording.isOversized) throw refusal({ kind: 'not_stored', requestId: execution.context.id });
	return { kind: 'joined', execution };
}

function replay(context: RequestContext, { response }: Extract<Entry, { kind: 'stored' }>, client: Follower) {
	const { feature, release, degradedReason, errorCode } = response.origin;
	inherit(context, { feature, release, degradedReason });
	context.held?.requireRoom(Buffer.byteLength(response.body));
	client.whole(response, response.body);
	// The trace of a replayed refusal says what the client was told.
	return errorCode === null
		? null
		: new PlimsollError(isErrorCode(errorCode) ? errorCode : 'internal_error', errorCode);
}

/** Follows an execution of this process to its end, or as long as the client stays and the deadline allows. */
async function join(context: RequestContext, execution: KeyedExecution, client: Follower, { detail }: StepNotes) {
	const { recording } = execution;
	const { promise: over, reject } = Promise.withResolvers<never>();
	const onAbort = () => reject(context.signal.reason);
	context.signal.addEventListener('abort', onAbort, { once: true });
	recording.follow(client);
	detail.live = true;
	try {
		await Promise.race([recording.closed, over]);
	} catch (thrown) {
		if (!recording.hasStarted) throw thrown;
		client.cut();
		return asPlimsollError(thrown);
	} finally {
		recording.leave(client);
		context.signal.removeEventListener('abort', onAbort);
	}
	const { feature, release, degraded_reason: degradedReason } = execution.context.trace;
	inherit(context, { feature, release, degradedReason });
	return execution.error;
}

/** The trace says whose answer it was; what produced it stands in the trace of the original. */
function inherit({ trace }: RequestContext, origin: Omit<StoredResponse['origin'], 'errorCode'>): void {
	trace.feature = origin.feature;
	trace.release = origin.release;
	trace.degraded = origin.degradedReason !== null;
	trace.degraded_reason = origin.degradedReason;
}

function refusal(state: Exclude<KeyState, { kind: 'claimed' | 'running' | 'stored' }>): PlimsollError {
	switch (state.kind) {
		case 'reused':
			return new PlimsollError(
				'idempotency_key_reused',
				'This Idempotency-Key was used before with another body or another route.',
			);
		case 'not_stored':
			return new PlimsollError(
				'idempotency_response_not_stored',
				`This Idempotency-Key was executed as ${state.requestId}; its response was too large, or too old, to be kept.`,
			);
		case 'unknown':
			return new PlimsollError('idempotency_outcome_unknown', unknownOutcome(state));
		case 'full':
			return new PlimsollError(
				'idempotency_records_full',
				'As many Idempotency-Keys are on record as idempotency.records_max allows.',
				{ retryAfterMs: SWEEP_EVERY_MS },
			);
	}
}

function unknownOutcome({ requestId, effects }: Extract<KeyState, { kind: 'unknown' }>): string {
	const asked = [...new Set(effects.map(({ kind, name }) => `the ${kind} ${name}`))].join(', ');
	return `The execution of this Idempotency-Key, ${requestId}, broke off after it had asked ${asked}, which acts on the world. Whether it did is not known, so it is not executed again.`;
}
