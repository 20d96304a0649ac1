import { type Clock, sleep } from '../../src/base/clock.ts';
import {
	type Completion,
	type CompletionChunk,
	type Model,
	type ModelRequest,
	type Upstream,
	UpstreamError,
	type UpstreamFailure,
} from '../../src/spec/model.ts';

/** What one call does: answers after a while, fails after a while, or stays silent until its time-out. */
export type Behaviour =
	| { readonly kind: 'answer'; readonly afterMs: number; readonly text: string; readonly usage?: boolean }
	| {
			readonly kind: 'fail';
			readonly afterMs: number;
			readonly failure: UpstreamFailure;
			readonly text?: string;
			readonly retryAfterMs?: number;
	  }
	| { readonly kind: 'silent' };

export const PRICE = {
	version: 'test',
	inputMicrosPerMillion: 1_000_000,
	asOf: null,
	cachedInputMicrosPerMillion: 500_000,
	cacheWriteMicrosPerMillion: 1_000_000,
	outputMicrosPerMillion: 4_000_000,
	reasoningMicrosPerMillion: 4_000_000,
	tiers: [],
	batch: null,
};

/** What each call does: line by line, the last one repeated, or whatever is asked for at that moment. */
export type Script = readonly Behaviour[] | (() => Behaviour);

/** A model that implements the port in process, on any clock, and does as its script says. */
export class ScriptedModel implements Model {
	readonly upstream: Upstream;
	readonly requests: ModelRequest[] = [];
	readonly #script: Script;
	readonly #clock: Clock;

	constructor(clock: Clock, script: Script, upstream: Partial<Upstream> = {}) {
		this.#clock = clock;
		this.#script = script;
		this.upstream = {
			name: 'test/primary',
			provider: 'test',
			model: 'scripted-1',
			contextTokensMax: 8000,
			tokensOutMax: 1000,
			tokensOutParameter: 'max_tokens',
			tokenizer: 'o200k_base',
			timeouts: { connectMs: 1000, firstTokenMs: 5000, idleMs: 5000, totalMs: 20_000 },
			sideEffects: false,
			continuesTurn: false,
			price: PRICE,
			...upstream,
		};
	}

	get calls(): number {
		return this.requests.length;
	}

	async complete(request: ModelRequest): Promise<Completion> {
		const behaviour = this.#begin(request);
		await this.#wait(behaviour, request);
		if (behaviour.kind !== 'answer') throw this.#failure(behaviour);
		return { ...this.#whole(behaviour, request), toolCalls: null, raw: null };
	}

	async stream(request: ModelRequest): Promise<AsyncIterable<CompletionChunk>> {
		const behaviour = this.#begin(request);
		return this.#chunks(behaviour, request);
	}

	async close(): Promise<void> {}

	async *#chunks(behaviour: Behaviour, request: ModelRequest): AsyncIterable<CompletionChunk> {
		await this.#wait(behaviour, request);
		const text = behaviour.kind === 'silent' ? '' : (behaviour.text ?? '');
		const empty = { finishReason: null, usage: null, served: null, confidence: null, raw: null };
		for (const word of text.split(/(?<= )/).filter(Boolean)) yield { ...empty, text: word };
		if (behaviour.kind !== 'answer') throw this.#failure(behaviour);
		const { finishReason, usage, served, confidence } = this.#whole(behaviour, request);
		yield { text: '', finishReason, usage, served, confidence, raw: null };
	}

	#begin(request: ModelRequest): Behaviour {
		const script = this.#script;
		const behaviour =
			typeof script === 'function' ? script() : script[Math.min(this.requests.length, script.length - 1)];
		this.requests.push(request);
		if (!behaviour) throw new Error('a scripted model needs at least one behaviour');
		return behaviour;
	}

	async #wait(behaviour: Behaviour, { signal, timeouts }: ModelRequest): Promise<void> {
		const limit = Math.min(timeouts.firstTokenMs, timeouts.totalMs);
		const ms = behaviour.kind === 'silent' ? Number.POSITIVE_INFINITY : behaviour.afterMs;
		try {
			await sleep(this.#clock, Math.min(ms, limit), signal);
		} catch (cause) {
			throw new UpstreamError('cancelled', this.upstream.name, 'cancelled', { cause });
		}
		if (ms > limit) throw new UpstreamError('timeout_first_token', this.upstream.name, `silent for ${limit} ms`);
	}

	#failure(behaviour: Behaviour): UpstreamError {
		const kind = behaviour.kind === 'fail' ? behaviour.failure : 'timeout_first_token';
		const retryAfterMs = behaviour.kind === 'fail' ? (behaviour.retryAfterMs ?? null) : null;
		return new UpstreamError(kind, this.upstream.name, `scripted ${kind}`, { retryAfterMs });
	}

	#whole(behaviour: Extract<Behaviour, { kind: 'answer' }>, request: ModelRequest) {
		const tokensIn = 10 * request.messages.length;
		const apart = { tokensCached: 0, tokensCacheWritten: 0, tokensReasoning: 0 };
		const usage = { tokensIn, tokensOut: 5, ...apart, source: 'reported' as const };
		return {
			text: behaviour.text,
			finishReason: 'stop',
			usage: behaviour.usage === false ? null : usage,
			served: { model: 'scripted-1-served', responseId: `call-${this.calls}`, fingerprint: 'fp' },
			confidence: null,
		};
	}
}
