import type { IdempotencyStore, KeyState } from '../../src/spec/idempotency.ts';
import {
	type Completion,
	type CompletionChunk,
	type Model,
	type ModelRequest,
	UpstreamError,
} from '../../src/spec/model.ts';
import type { Counter, ReserveAsk, SharedState, Ticket } from '../../src/spec/shared-state.ts';
import type { RequestTrace, TraceSink } from '../../src/spec/trace.ts';
import type { Mutation } from './cluster.ts';

/** A bug that some system of this kind has had, put between real parts. */
export interface Mutant {
	readonly name: string;
	/** The invariant that it breaks. */
	readonly breaks: number;
	/** It shows where nothing else goes wrong. */
	readonly isOfCalm?: true;
	readonly mutation: Mutation;
}

export const MUTANTS: readonly Mutant[] = [
	{
		name: 'a refused or finished request keeps its places',
		breaks: 1,
		mutation: {
			state: (inner) =>
				new (class extends Passing {
					override release = async () => [];
				})(inner),
		},
	},
	{
		name: 'places are given back twice',
		breaks: 1,
		mutation: {
			state: (inner) =>
				new (class extends Passing {
					override async release(ticket: Ticket, now: number) {
						await this.inner.release(ticket, now);
						return this.inner.release(ticket, now);
					}
				})(inner),
		},
	},
	{
		name: 'a call that hangs is waited for without a time-out',
		breaks: 1,
		mutation: {
			model: (inner) =>
				new Answering(inner, (request) => (isUnlucky(request) ? new Promise(() => {}) : inner.complete(request))),
		},
	},
	{
		name: 'a failed request leaves no trace',
		breaks: 1,
		mutation: { traces: (inner) => recording((trace) => trace.outcome !== 'failed' && inner.record(trace)) },
	},
	{
		name: 'a cancelled request is recorded twice',
		breaks: 1,
		mutation: {
			traces: (inner) =>
				recording((trace) => {
					inner.record(trace);
					if (trace.outcome === 'cancelled') inner.record(trace);
				}),
		},
	},
	{
		name: 'a limit is looked at before it is reserved, not at once',
		breaks: 2,
		mutation: { counters: (inner) => new LookThenReserve(inner) },
	},
	{
		name: 'calls are settled as if they had been free',
		breaks: 2,
		mutation: {
			state: (inner) =>
				new (class extends Passing {
					override settle(ticket: Ticket, actual: readonly number[], now: number) {
						return this.inner.settle(
							ticket,
							actual.map(() => 0),
							now,
						);
					}
				})(inner),
		},
	},
	{
		name: 'calls without a price are free in the trace',
		breaks: 2,
		mutation: {
			traces: (inner) =>
				recording((trace) => inner.record(trace.cost_source === 'estimated' ? freeOfCharge(trace) : trace)),
		},
	},
	{
		name: 'two requests with one key that come at once both claim it',
		breaks: 3,
		mutation: {
			keys: (inner) => changed(inner, { claim: async (claim) => claimedFor(await inner.claim(claim)) }),
		},
	},
	{
		name: 'an answer is told to be on record, and is lost',
		breaks: 3,
		mutation: { keys: (inner) => changed(inner, { complete: (holder) => inner.release(holder) }) },
	},
	{
		name: 'side effects are not written down before they happen',
		breaks: 3,
		mutation: { keys: (inner) => changed(inner, { beginEffect: async () => true }) },
	},
	{
		name: 'a client library retries behind the back of the runtime',
		breaks: 4,
		mutation: { model: (inner) => new Answering(inner, (request) => insistently(() => inner.complete(request))) },
	},
	{
		name: 'answers are cached under a key without the tenant',
		breaks: 5,
		mutation: { model: cachedByLength },
	},
	{
		name: 'a trace carries another tenant’s name',
		breaks: 5,
		mutation: { traces: mixedUp },
	},
	{
		name: 'the answer is in the trace',
		breaks: 5,
		mutation: { traces: (inner) => recording((trace) => inner.record({ ...trace, degraded_reason: 'said secret0' })) },
	},
	{
		name: 'whoever loses a race runs on',
		breaks: 7,
		mutation: { model: (inner) => new Deaf(inner) },
	},
	{
		name: 'what lost a race is in no trace',
		breaks: 7,
		mutation: { traces: (inner) => recording((trace) => inner.record(withoutLosers(trace))) },
	},
	{
		name: 'what lost a race costs its request nothing',
		breaks: 2,
		mutation: {
			traces: (inner) =>
				recording((trace) => inner.record({ ...trace, cost_usd_micros: trace.cost_usd_micros - costOfLosers(trace) })),
		},
	},
	{
		name: 'everyone waits in one line, first come, first served',
		breaks: 6,
		isOfCalm: true,
		mutation: {
			authenticator: (inner) => ({
				authenticate: async (header) => ({ ...(await inner.authenticate(header)), tenantId: 'everyone' }),
			}),
			traces: (inner) => recording((trace) => inner.record({ ...trace, tenant_id: null })),
		},
	},
];

/** Does as the store behind it, but for what is changed. */
function changed(inner: IdempotencyStore, change: Partial<IdempotencyStore>): IdempotencyStore {
	return {
		isUp: () => inner.isUp(),
		claim: (claim) => inner.claim(claim),
		renew: (holder, leaseUntil) => inner.renew(holder, leaseUntil),
		beginEffect: (holder, effect) => inner.beginEffect(holder, effect),
		voidEffect: (holder, effect) => inner.voidEffect(holder, effect),
		complete: (holder, end) => inner.complete(holder, end),
		release: (holder) => inner.release(holder),
		sweep: (now, max) => inner.sweep(now, max),
		close: () => inner.close(),
		...change,
	};
}

function claimedFor(state: KeyState): KeyState {
	return state.kind === 'running' ? { kind: 'claimed' } : state;
}

/** Does as the state behind it. */
class Passing implements SharedState {
	readonly inner: SharedState;

	constructor(inner: SharedState) {
		this.inner = inner;
	}

	reserve(ask: ReserveAsk) {
		return this.inner.reserve(ask);
	}
	settle(ticket: Ticket, actual: readonly number[], now: number) {
		return this.inner.settle(ticket, actual, now);
	}
	release(ticket: Ticket, now: number) {
		return this.inner.release(ticket, now);
	}
	usage(tenantId: string, counters: readonly Counter[], now: number) {
		return this.inner.usage(tenantId, counters, now);
	}
	health() {
		return this.inner.health();
	}
	close() {
		return this.inner.close();
	}
}

/** Two requests that look at the same moment both see room for one. */
class LookThenReserve extends Passing {
	override async reserve(ask: ReserveAsk) {
		const usages = await this.inner.usage(ask.tenantId, ask.claims, ask.now);
		const fits = ask.claims.every(({ max }, at) => (usages[at]?.settled ?? 0) + (usages[at]?.reserved ?? 0) < max);
		if (!fits) return this.inner.reserve(ask);
		const claims = ask.claims.map((claim) => ({ ...claim, max: Number.MAX_SAFE_INTEGER }));
		return this.inner.reserve({ ...ask, claims });
	}
}

/** A model whose answers all come from `answer`, streamed or not. */
class Answering implements Model {
	readonly upstream: Model['upstream'];
	readonly #answer: (request: ModelRequest) => Promise<Completion>;
	readonly #inner: Model;

	constructor(inner: Model, answer: (request: ModelRequest) => Promise<Completion>) {
		this.#inner = inner;
		this.upstream = inner.upstream;
		this.#answer = answer;
	}

	complete(request: ModelRequest): Promise<Completion> {
		return this.#answer(request);
	}

	async stream(request: ModelRequest): Promise<AsyncIterable<CompletionChunk>> {
		const { text, finishReason, usage, served, confidence } = await this.#answer(request);
		return (async function* () {
			yield { text, finishReason, usage, served, confidence, raw: null };
		})();
	}

	close(): Promise<void> {
		return this.#inner.close();
	}
}

function recording(record: (trace: RequestTrace) => unknown): TraceSink {
	return { record: (trace) => void record(trace), dropped: 0, flush: async () => {} };
}

function freeOfCharge(trace: RequestTrace): RequestTrace {
	const steps = trace.steps.map((step) => ({
		...step,
		attempts: step.attempts.map((attempt) => ({ ...attempt, cost_usd_micros: 0 })),
	}));
	return { ...trace, steps };
}

function isUnlucky({ messages }: ModelRequest): boolean {
	return /r\d*7 /.test(String(messages.at(-1)?.content));
}

/** What was not even accepted costs nothing, so why not ask again. */
async function insistently<T>(run: () => Promise<T>): Promise<T> {
	for (let tries = 1; ; tries++) {
		try {
			return await run();
		} catch (thrown) {
			const isFree = thrown instanceof UpstreamError && ['connect', 'server_error'].includes(thrown.kind);
			if (!isFree || tries === 4) throw thrown;
		}
	}
}

function cachedByLength(inner: Model): Model {
	const answers = new Map<number, Completion>();
	return new Answering(inner, async (request) => {
		const key = String(request.messages.at(-1)?.content).length;
		const cached = answers.get(key);
		if (cached) return cached;
		const answer = await inner.complete(request);
		answers.set(key, answer);
		return answer;
	});
}

function mixedUp(inner: TraceSink): TraceSink {
	let before: string | null = null;
	return recording((trace) => {
		inner.record({ ...trace, tenant_id: before ?? trace.tenant_id });
		before = trace.tenant_id;
	});
}

/** Its caller hears that it has lost at once, and its upstream never. */
class Deaf implements Model {
	readonly upstream: Model['upstream'];
	readonly #inner: Model;

	constructor(inner: Model) {
		this.#inner = inner;
		this.upstream = inner.upstream;
	}

	complete(request: ModelRequest): Promise<Completion> {
		const { signal } = request;
		const lost = new Promise<never>((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
		lost.catch(() => {});
		return Promise.race([lost, this.#inner.complete({ ...request, signal: unlessLost(signal) })]);
	}

	stream(request: ModelRequest): Promise<AsyncIterable<CompletionChunk>> {
		return this.#inner.stream({ ...request, signal: unlessLost(request.signal) });
	}

	close(): Promise<void> {
		return this.#inner.close();
	}
}

function unlessLost(signal: AbortSignal): AbortSignal {
	const controller = new AbortController();
	const hear = () => {
		if (!/another attempt was first/.test(String(signal.reason))) controller.abort(signal.reason);
	};
	if (signal.aborted) hear();
	else signal.addEventListener('abort', hear);
	return controller.signal;
}

type AttemptOf = RequestTrace['steps'][number]['attempts'][number];

function hasLost({ error }: AttemptOf): boolean {
	return error?.startsWith('hedged:') ?? false;
}

function withoutLosers(trace: RequestTrace): RequestTrace {
	const steps = trace.steps.map((step) => ({
		...step,
		attempts: step.attempts.filter((attempt) => !hasLost(attempt)),
	}));
	const cost = trace.cost_usd_micros - costOfLosers(trace);
	return { ...trace, steps, cost_usd_micros: cost };
}

function costOfLosers({ steps }: RequestTrace): number {
	const losers = steps.flatMap(({ attempts }) => attempts).filter(hasLost);
	return losers.reduce((micros, { cost_usd_micros: cost }) => micros + cost, 0);
}
