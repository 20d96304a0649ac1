import type { Clock } from '../base/clock.ts';
import { Deadline } from '../base/deadline.ts';
import type { FlagDecision } from '../policy/flags.ts';
import { asPlimsollError, PlimsollError } from '../spec/errors.ts';
import type { Effect } from '../spec/idempotency.ts';
import type { Caller } from '../spec/identity.ts';
import type { Priority } from '../spec/priority.ts';
import type { AttemptTrace, Outcome, RequestTrace, Stage, StepTrace, TraceSink } from '../spec/trace.ts';
import type { HeldBytes } from './buffered-bytes.ts';
import type { RequestLimits } from './limits.ts';

type Draft = { -readonly [K in keyof RequestTrace]: RequestTrace[K] };

/** Of what an operator is told in a failed step, beside the code. */
const REASON_CHARS_MAX = 300;

/** A step while it runs: what it wants to say in the trace. */
export interface StepNotes {
	readonly detail: Record<string, string | number | boolean | null>;
	readonly attempts: AttemptTrace[];
}

/** Where it is written down what a request does to the world, before it does it. */
export interface EffectLedger {
	/** Resolves when it is durable. Throws `idempotency_unavailable`: then it must not be done. */
	begin(effect: Omit<Effect, 'at'>): Promise<BegunEffect>;
}

export interface BegunEffect {
	/** It is known not to have happened. */
	void(): Promise<void>;
}

/** How long a client waits, milliseconds since the request entered; null where it does not say. */
export interface Patience {
	/** For any answer. */
	readonly deadlineMs: number | null;
	/** For an answer to begin: a whole one is no use after it, a stream may run on. */
	readonly beginMs: number | null;
}

/** One request from the moment it enters to its one outcome and its one trace. */
export class RequestContext {
	readonly trace: Draft;
	readonly deadline: Deadline;
	/** Attempts at upstreams so far: the contract caps them for the request, however often it generates. */
	attempts = 0;
	/** Names of the upstreams that were asked: to ask one of them again costs retry budget. */
	readonly asked = new Set<string>();
	/** Set before the deadline is. */
	patience: Patience = { deadlineMs: null, beginMs: null };
	/** By when the request must end, milliseconds since it entered; holds once the deadline has started. */
	deadlineMs = Number.POSITIVE_INFINITY;
	/** Whether the client's patience ends before the time that the operator grants. */
	isHurried = false;
	/** Null until the caller is known. */
	limits: RequestLimits | null = null;
	/** What is held in memory for it; null until the caller is known. */
	held: HeldBytes | null = null;
	/** How long it waited for its place. */
	queuedMs = 0;
	/** What the admit step says in the trace: also what is known only later, about the place and the wait for it. */
	admission: StepNotes['detail'] = {};
	#priority: Priority = 'interactive';
	/** Null for a request without an idempotency key. */
	effects: EffectLedger | null = null;
	/** Whether an upstream or tool with side effects may have acted: then nothing may be done over. */
	mayHaveActed = false;
	/** Its answer is kept for whoever repeats it: a client that leaves does not end it. */
	outlivesClient = false;
	/** What flags decided, once for the whole request; null when none is looked at. */
	flags: FlagDecision | null = null;
	readonly #clock: Clock;
	readonly #start: number;
	readonly #steps: StepTrace[] = [];
	readonly #sink: TraceSink;
	#caller: Caller | null = null;
	readonly #leaves: (() => void)[] = [];
	#ended = false;

	/** @param options.sink where the trace goes when the request has its outcome. */
	constructor(options: { id: string; clock: Clock; sink: TraceSink }) {
		this.#clock = options.clock;
		this.#start = options.clock.monotonic();
		this.#sink = options.sink;
		this.deadline = new Deadline(options.clock, () => this.#deadlineError());
		this.trace = emptyTrace(options.id, options.clock.now(), this.#steps);
	}

	get id(): string {
		return this.trace.request_id;
	}

	/** Who asks. Only an admitted request has one. */
	get caller(): Caller {
		if (this.#caller === null) throw new Error('the request has not been admitted');
		return this.#caller;
	}

	set caller(caller: Caller) {
		this.#caller = caller;
	}

	get priority(): Priority {
		return this.#priority;
	}

	/** To batch work: the contract, the key and the client can each ask for it, and none can take it back. */
	lowerPriority(): void {
		this.#priority = 'batch';
	}

	/**
	 * Starts the deadline: what the operator grants, or what the client waits for if that is less.
	 * @param grantedMs since the request entered. Returns what holds.
	 */
	startDeadline(grantedMs: number, streamed: boolean): number {
		const { deadlineMs, beginMs } = this.patience;
		// A client that comes back with its key for the answer can use it after its time-out too.
		const isUseless = !streamed && !this.outlivesClient;
		const patienceMs = Math.min(deadlineMs ?? grantedMs, (isUseless ? beginMs : null) ?? grantedMs);
		this.isHurried = patienceMs < grantedMs;
		const ms = Math.min(grantedMs, patienceMs);
		this.deadlineMs = ms;
		this.deadline.set(Math.max(0, ms - this.elapsedMs()));
		return ms;
	}

	get signal(): AbortSignal {
		return this.deadline.signal;
	}

	get ended(): boolean {
		return this.#ended;
	}

	/** Milliseconds since the request entered. */
	elapsedMs(): number {
		return round(this.#clock.monotonic() - this.#start);
	}

	/** Milliseconds since an instant that `elapsedMs` gave. */
	sinceMs(startedMs: number): number {
		return round(this.elapsedMs() - startedMs);
	}

	/** Runs one stage and records exactly one step for it, whatever happens inside. */
	async step<T>(stage: Stage, run: (notes: StepNotes) => T | Promise<T>): Promise<T> {
		const notes: StepNotes = { detail: {}, attempts: [] };
		const startedMs = this.elapsedMs();
		let errorCode: string | null = null;
		try {
			this.throwIfOver();
			return await run(notes);
		} catch (thrown) {
			const error = asPlimsollError(thrown);
			errorCode = error.code;
			// A fault of our own goes to the log, with its stack.
			if (error.internal !== null && error.category !== 'internal') {
				notes.detail.reason = error.internal.slice(0, REASON_CHARS_MAX);
			}
			throw error;
		} finally {
			this.#steps.push({
				seq: this.#steps.length,
				stage,
				started_ms: startedMs,
				latency_ms: this.sinceMs(startedMs),
				outcome: errorCode === null ? 'ok' : 'failed',
				error_code: errorCode,
				detail: notes.detail,
				attempts: notes.attempts,
			});
		}
	}

	/** Throws the reason when the deadline has passed or the client has left. */
	throwIfOver(): void {
		if (this.signal.aborted) throw this.signal.reason;
	}

	/** The client is gone: everything that still runs for it stops. */
	clientLeft(): void {
		if (!this.outlivesClient) this.cancel(new PlimsollError('client_closed', 'The client closed the connection.'));
	}

	/** Ends early, with this as its reason. */
	cancel(reason: PlimsollError): void {
		if (!this.#ended) this.deadline.cancel(reason);
	}

	#deadlineError(): PlimsollError {
		const { feature } = this.trace;
		const granted = feature === null ? 'The request’s deadline' : `The deadline of ${feature} (budget.deadline_ms)`;
		const whose = this.isHurried ? 'The client’s own deadline' : granted;
		if (!this.mayHaveActed) {
			return new PlimsollError('deadline_exceeded', `${whose} passed before the answer was complete.`);
		}
		// Told to try again, a client would have it done twice.
		return new PlimsollError(
			'upstream_outcome_unknown',
			`${whose} passed while an upstream that acts on the world was at work; whether it acted is not known.`,
		);
	}

	markFirstToken(): void {
		this.trace.time_to_first_token_ms ??= this.elapsedMs();
	}

	/** Gives the request its outcome and hands over its trace. Only the first call counts. */
	end(error: PlimsollError | null): void {
		if (this.#ended) return;
		this.#ended = true;
		this.deadline.dispose();
		this.trace.latency_ms = this.elapsedMs();
		this.trace.error_code = error?.code ?? null;
		this.trace.outcome = outcomeOf(error, this.trace.degraded);
		for (const leave of this.#leaves.splice(0)) leave();
		this.#sink.record(this.trace);
	}

	/** What gives back something that the request holds; runs once, when it ends, or at once when it has ended. */
	onLeave(leave: () => void): void {
		if (this.#ended) leave();
		else this.#leaves.push(leave);
	}
}

function outcomeOf(error: PlimsollError | null, degraded: boolean): Outcome {
	if (error === null) return degraded ? 'degraded' : 'ok';
	// On purpose, so that nothing is broken.
	if (error.code === 'feature_disabled') return 'refused';
	switch (error.category) {
		case 'cancelled':
			return 'cancelled';
		case 'invalid_request':
		case 'unauthenticated':
		case 'forbidden':
		case 'not_found':
		case 'precondition_failed':
		case 'conflict':
		case 'too_large':
		case 'overloaded':
		case 'unprocessable':
			return 'refused';
		default:
			return 'failed';
	}
}

/** Microsecond resolution: finer is noise, and short numbers keep the trace small. */
function round(ms: number): number {
	return Math.round(ms * 1000) / 1000;
}

function emptyTrace(requestId: string, startedAt: number, steps: readonly StepTrace[]): Draft {
	return {
		request_id: requestId,
		started_at: startedAt,
		tenant_id: null,
		key_id: null,
		user_id_hash: null,
		feature: null,
		release: null,
		variant: null,
		flags: {},
		flag_reasons: {},
		prompt_name: null,
		prompt_version: null,
		prompt_hash: null,
		upstream: null,
		model_name: null,
		provider: null,
		provider_fingerprint: null,
		streamed: false,
		tokens_in: 0,
		tokens_out: 0,
		tokens_cached: 0,
		tokens_cache_written: 0,
		tokens_reasoning: 0,
		cost_usd_micros: 0,
		cost_source: null,
		price_version: null,
		latency_ms: 0,
		time_to_first_token_ms: null,
		retries: 0,
		client_retries: 0,
		cache_hit: 'none',
		retrieval_collection: null,
		retrieval_generation: null,
		retrieval_doc_ids: [],
		retrieval_scores: [],
		guard_verdicts: [],
		escalated_from: null,
		degraded: false,
		degraded_reason: null,
		outcome: 'failed',
		error_code: null,
		finish_reason: null,
		steps,
	};
}
