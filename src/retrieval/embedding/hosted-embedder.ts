import { type Clock, sleep } from '../../base/clock.ts';
import type { Random } from '../../base/random.ts';
import { countTokens } from '../../base/tokens.ts';
import type { HostedEmbedderConfig } from '../../contracts/embedder.ts';
import type { Breakers, Closure } from '../../policy/breakers.ts';
import { embeddingCost } from '../../policy/cost.ts';
import { embeddingRetryMs } from '../../policy/embedding-retry.ts';
import { FAILURES } from '../../policy/failure-table.ts';
import type { RetryBudgets } from '../../policy/retry-budget.ts';
import type {
	Embedded,
	Embedder,
	EmbeddingAnswer,
	EmbeddingCallReport,
	EmbeddingModel,
	EmbedOptions,
} from '../../spec/embedding.ts';
import { PlimsollError } from '../../spec/errors.ts';
import { UpstreamError } from '../../spec/model.ts';
import type { EmbeddingIdentity, TextKind } from '../../spec/retrieval.ts';
import { type Batch, batchesOf } from './batches.ts';
import { BadEmbedding, checkedVectors } from './checked-vectors.ts';
import { identityOf } from './hosted-identity.ts';
import { Pacer } from './pacer.ts';
import { prefixOf } from './text-prefix.ts';

/** Our count of a text's tokens is not the provider's: before one is known, it may be this much more. */
const COUNT_MARGIN = 1.5;
/** How long a request waits for a second call, all its waits together. */
const REQUEST_WAIT_MS_MAX = 2_000;
/** A call with fewer tokens says little about how many a second the provider reads. */
const RATE_TOKENS_MIN = 500;

export interface HostedParts {
	readonly clock: Clock;
	readonly random: Random;
	/** Of embedders, by name. */
	readonly breakers: Breakers;
	/** What repeating the calls of requests may add. */
	readonly retries: RetryBudgets;
	/** Hears when the provider says that it serves something else than before. */
	readonly onServed: (served: string) => void;
}

interface Work {
	readonly kind: TextKind;
	/** As they are sent. */
	readonly texts: readonly string[];
	readonly options: EmbedOptions;
	readonly signal: AbortSignal;
}

type BatchResult = ReturnType<typeof checkedVectors> & { readonly tokens: number; readonly costMicros: number };

/**
 * An embedder behind an endpoint: texts go in calls of bounded size at a bounded pace, a failed call is repeated as its
 * failure allows, every answer is looked at as a whole before anything is made of it, and every call is paid for.
 */
export class HostedEmbedder implements Embedder {
	readonly identity: EmbeddingIdentity;
	readonly #config: HostedEmbedderConfig;
	readonly #model: EmbeddingModel;
	readonly #parts: HostedParts;
	readonly #pacer: Pacer;
	/** Tokens that the provider counted for each of ours, at most so far. */
	#ratio: number | null = null;
	#served: string | null = null;
	#tokensPerSecond: number | null = null;

	constructor(config: HostedEmbedderConfig, model: EmbeddingModel, parts: HostedParts) {
		this.identity = identityOf(config);
		this.#config = config;
		this.#model = model;
		this.#parts = parts;
		this.#pacer = new Pacer(parts.clock, config);
	}

	/** Tokens that it embeds in a second, by its latest calls and within its limits; null before the first. */
	get tokensPerSecond(): number | null {
		const { concurrencyMax, tokensPerMinute } = this.#config;
		if (this.#tokensPerSecond === null) return null;
		return Math.min(this.#tokensPerSecond * concurrencyMax, (tokensPerMinute ?? Number.POSITIVE_INFINITY) / 60);
	}

	/** The most that texts of so many tokens can cost, by our count. */
	costMicros(tokens: number): number {
		return embeddingCost(Math.ceil(tokens * (this.#ratio ?? COUNT_MARGIN)), 'estimated', this.#config.price).micros;
	}

	async embed(texts: readonly string[], kind: TextKind, options: EmbedOptions): Promise<Embedded> {
		const prefix = prefixOf(kind, this.#config);
		const sent = texts.map((text) => (prefix + text).toWellFormed());
		const batches = this.#batches(sent);
		const reserved = batches.reduce((sum, { tokens }) => sum + this.costMicros(tokens), 0);
		options.run?.reserve(reserved);
		const stop = new AbortController();
		const signal = options.signal ? AbortSignal.any([options.signal, stop.signal]) : stop.signal;
		const work: Work = { kind, texts: sent, options, signal };
		// What fails first ends the others; all are waited for, since each has its cost to tell.
		const results = await Promise.allSettled(
			batches.map((batch) =>
				this.#untilDone(batch, work).catch((thrown: unknown) => {
					stop.abort(thrown);
					throw thrown;
				}),
			),
		);
		options.signal?.throwIfAborted();
		if (stop.signal.aborted) throw stop.signal.reason;
		return summed(results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : [])));
	}

	async close(): Promise<void> {
		this.#pacer.close();
		await this.#model.close();
	}

	#batches(texts: readonly string[]): readonly Batch[] {
		const { batchMax, batchTokensMax } = this.#config;
		const counts = texts.map((text) => countTokens(text, 'o200k_base'));
		const tokensMax = Math.min(batchTokensMax, this.#pacer.burstTokens ?? batchTokensMax);
		return batchesOf(counts, { textsMax: Math.min(batchMax, this.#model.textsMax), tokensMax });
	}

	/** One batch, repeated as long as that may help. */
	async #untilDone(batch: Batch, { kind, texts, options, signal }: Work): Promise<BatchResult> {
		const { clock, random, breakers, retries } = this.#parts;
		const { name, retriesMax, retryWaitMsMax } = this.#config;
		const { run } = options;
		const isPatient = run !== undefined;
		let waitMsLeft = isPatient ? retryWaitMsMax : REQUEST_WAIT_MS_MAX;
		let reserved = this.costMicros(batch.tokens);
		const release = () => {
			run?.giveBack(reserved);
			reserved = 0;
		};
		const wait = async (ms: number) => {
			waitMsLeft -= ms;
			await sleep(clock, ms, signal);
		};
		if (!isPatient) retries.earn(name, '');
		try {
			for (let failures = 0; ; ) {
				const closedMs = breakers.waitMs(name);
				if (closedMs > 0) {
					if (!isPatient || closedMs > waitMsLeft)
						throw leftAlone(name, { why: breakers.whyOpen(name), waitMs: closedMs });
					await wait(closedMs);
					continue;
				}
				const ended = await this.#attempt({
					texts: texts.slice(batch.start, batch.end),
					kind,
					batch,
					signal,
					isPatient,
				});
				if (ended === null) continue;
				release();
				run?.spent(ended.report);
				options.onCall?.(ended.report);
				if ('result' in ended) return ended.result;
				signal.throwIfAborted();
				const { error } = ended;
				failures++;
				const retryMs = embeddingRetryMs({
					failure: error.kind,
					retryAfterMs: error.retryAfterMs,
					failures,
					retriesMax: isPatient ? retriesMax : Math.min(1, retriesMax),
					waitMsLeft,
					draw: random.next(),
				});
				if (retryMs === null || (!isPatient && !retries.spend(name, ''))) throw failed(name, error);
				reserved = this.costMicros(batch.tokens);
				run?.reserve(reserved);
				await wait(retryMs);
			}
		} finally {
			release();
		}
	}

	/** One call within its turn; null: its breaker closed before its turn came. */
	async #attempt(call: {
		texts: readonly string[];
		kind: TextKind;
		batch: Batch;
		signal: AbortSignal;
		isPatient: boolean;
	}) {
		const { clock, breakers } = this.#parts;
		const { name, timeoutMs, dimensions, price } = this.#config;
		const { texts, kind, batch, signal } = call;
		const leave = await this.#pacer.enter({ tokens: batch.tokens, urgent: !call.isPatient, signal });
		try {
			const passage = breakers.enter(name);
			if ('why' in passage) return null;
			const started = clock.monotonic();
			const report = (outcome: EmbeddingCallReport['outcome'], error: string | null, used: Used | null) => {
				const cost = used && embeddingCost(used.tokens, used.source, price);
				const { tokens = 0, source = 'reported' } = used ?? {};
				const costMicros = cost?.micros ?? 0;
				const tookMs = clock.monotonic() - started;
				return { outcome, error, tookMs, texts: texts.length, tokens, costMicros, source: cost?.source ?? source };
			};
			try {
				const answer = await this.#model.embed({ texts, kind, timeoutMs, signal });
				const used = usedBy(answer, batch.tokens);
				const checked = checkedVectors(answer.rows, dimensions);
				const ended = report('ok', null, used);
				passage.end({ verdict: 'ok', tookMs: ended.tookMs, error: null });
				this.#learn(answer, batch, ended.tookMs);
				return { report: ended, result: { ...checked, tokens: used.tokens, costMicros: ended.costMicros } };
			} catch (thrown) {
				const error = upstreamError(name, thrown, batch.start);
				const { verdict, billed } = FAILURES[error.kind];
				// An answer that cannot be used was worked for all the same.
				const isBilled = billed || error.kind === 'nonsense';
				const ended = report(
					error.kind,
					error.message,
					isBilled ? { tokens: batch.tokens, source: 'estimated' } : null,
				);
				passage.end({ verdict, tookMs: ended.tookMs, error });
				if (error.kind === 'rate_limited' && error.retryAfterMs !== null) this.#pacer.pause(error.retryAfterMs);
				return { report: ended, error };
			}
		} finally {
			leave();
		}
	}

	#learn({ tokens, served }: EmbeddingAnswer, batch: Batch, tookMs: number): void {
		if (tokens !== null) {
			if (batch.tokens > 0) this.#ratio = Math.max(this.#ratio ?? 1, tokens / batch.tokens);
			this.#pacer.correct(tokens - batch.tokens);
		}
		if (batch.tokens >= RATE_TOKENS_MIN && tookMs > 0) {
			const rate = (batch.tokens * 1_000) / tookMs;
			this.#tokensPerSecond = this.#tokensPerSecond === null ? rate : 0.8 * this.#tokensPerSecond + 0.2 * rate;
		}
		if (served === null || served === this.#served) return;
		const isNews = this.#served !== null;
		this.#served = served;
		if (isNews) this.#parts.onServed(served);
	}
}

interface Used {
	readonly tokens: number;
	readonly source: 'reported' | 'estimated';
}

function usedBy({ tokens }: EmbeddingAnswer, counted: number): Used {
	return tokens === null ? { tokens: counted, source: 'estimated' } : { tokens, source: 'reported' };
}

function summed(results: readonly BatchResult[]): Embedded {
	return {
		vectors: results.flatMap(({ vectors }) => vectors),
		lengthMin: Math.min(...results.map(({ lengthMin }) => lengthMin)),
		lengthMax: Math.max(...results.map(({ lengthMax }) => lengthMax)),
		tokens: results.reduce((sum, { tokens }) => sum + tokens, 0),
		costMicros: results.reduce((sum, { costMicros }) => sum + costMicros, 0),
	};
}

/** @param start the place of the batch's first text among all texts. */
function upstreamError(name: string, thrown: unknown, start: number): UpstreamError {
	if (thrown instanceof UpstreamError) return thrown;
	if (thrown instanceof BadEmbedding) {
		const message = `${name} sent an embedding that cannot be used: that of text ${start + thrown.position + 1} ${thrown.message}`;
		return new UpstreamError('nonsense', name, message, { cause: thrown });
	}
	const message = `${name} ${thrown instanceof Error ? thrown.message : String(thrown)}`;
	return new UpstreamError('nonsense', name, message, { cause: thrown });
}

/** Kinds whose messages are our own words; the others quote the provider, which is for the operator. */
const OWN_WORDS: ReadonlySet<string> = new Set([
	'nonsense',
	'timeout_first_token',
	'timeout_idle',
	'timeout_total',
	'cut',
]);

function failed(name: string, error: UpstreamError): PlimsollError {
	const message = `The embedder ${name} did not answer as it should: ${reasonOf(error)}.`;
	const wait = error.retryAfterMs === null ? {} : { retryAfterMs: error.retryAfterMs };
	return new PlimsollError('retrieval_failed', message, { cause: error, internal: error.message, ...wait });
}

function reasonOf({ kind, status, message }: UpstreamError): string {
	if (status !== null) return `status ${status}`;
	// Where an endpoint stands is the operator's to know.
	if (kind === 'connect' || kind === 'timeout_connect') return 'it could not be reached';
	return OWN_WORDS.has(kind) ? message : kind;
}

function leftAlone(
	name: string,
	{ why, waitMs }: Pick<Closure, 'waitMs'> & { why: Closure['why'] | null },
): PlimsollError {
	const message = `The embedder ${name} is left alone for ${Math.ceil(waitMs)} ms (${why ?? 'failures'}).`;
	return new PlimsollError('upstream_unavailable', message, { retryAfterMs: Math.ceil(waitMs) });
}
