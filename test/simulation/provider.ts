import { type Clock, sleep } from '../../src/base/clock.ts';
import {
	type Completion,
	type CompletionChunk,
	type Model,
	type ModelRequest,
	type Upstream,
	UpstreamError,
	type UpstreamFailure,
	type Usage,
} from '../../src/spec/model.ts';
import type { Dice } from './dice.ts';
import { type Asked, asking, type Bill, type Call } from './observation.ts';
import type { ProviderPlan, Trouble } from './scenario.ts';
import type { World } from './world.ts';

/** What one call will come to, drawn when it arrives. */
interface Fate {
	readonly headMs: number;
	readonly gapMs: number;
	readonly words: number;
	/** After how many words it ends, and how; null: well. */
	readonly end: {
		readonly after: number;
		readonly failure: UpstreamFailure;
		readonly retryAfterMs: number | null;
	} | null;
	/** After so many words nothing more comes; null: it goes on. */
	readonly silentAfter: number | null;
	readonly tellsUsage: boolean;
}

const TIMEOUTS = { connectMs: 300, firstTokenMs: 2_500, idleMs: 1_200, totalMs: 6_000 };
const NOT_BILLED: ReadonlySet<UpstreamFailure> = new Set([
	'connect',
	'server_error',
	'rate_limited',
	'content_filter',
	'nonsense',
]);

/** A provider of models as the world sees it: one for all processes, with good days and bad ones. */
export class Provider {
	readonly plan: ProviderPlan;
	readonly #world: World;
	readonly #dice: Dice;
	/** Calls that run, with what they have cost so far. */
	readonly #running = new Map<Call, Bill>();

	constructor(world: World, plan: ProviderPlan, dice: Dice) {
		this.#world = world;
		this.plan = plan;
		this.#dice = dice;
	}

	get running(): number {
		return this.#running.size;
	}

	fate(): Fate {
		const { plan } = this;
		const dice = this.#dice;
		const now = this.#world.clock.monotonic();
		const episode = plan.episodes.find(({ from, to }) => now >= from && now < to);
		const trouble = episode && dice.chance(0.9) ? episode.kind : dice.chance(plan.mishaps) ? MISHAP : null;
		const fate: Fate = {
			headMs: dice.lognormal(plan.medianMs, 0.6),
			gapMs: dice.between(1, 60),
			words: dice.whole(1, 12),
			end: null,
			silentAfter: null,
			tellsUsage: true,
		};
		const kind = trouble === MISHAP ? dice.pick(MISHAPS) : trouble;
		if (kind === null) return fate;
		this.#world.observe({ kind: 'fault', what: `upstream_${kind}`, note: plan.name });
		return { ...fate, ...troubled(fate, kind, dice) };
	}

	begin(request: Asked, replica: string, prompt: string): Call {
		const call = { request, replica, upstream: this.plan.name, price: this.plan.price, prompt };
		this.#running.set(call, { tokensIn: 0, tokensOut: 0, reported: false });
		this.#world.observe({ kind: 'called', call });
		return call;
	}

	note(call: Call, bill: Bill): void {
		if (this.#running.has(call)) this.#running.set(call, bill);
	}

	/** @param bill null: the provider charges nothing for it. */
	finish(call: Call, bill: Bill | null): void {
		if (this.#running.delete(call)) this.#world.observe({ kind: 'billed', call, bill });
	}

	/** A process died: what it had asked for is charged as far as it came. */
	abandon(replica: string): void {
		for (const [call, bill] of this.#running) if (call.replica === replica) this.finish(call, bill);
	}
}

const MISHAP = 'mishap';
const MISHAPS: readonly (Trouble | 'filter' | 'nonsense')[] = [
	'outage',
	'refusing',
	'quota',
	'silence',
	'slow',
	'cuts',
	'no_usage',
	'filter',
	'nonsense',
];

function troubled(fate: Fate, kind: Trouble | 'filter' | 'nonsense', dice: Dice): Partial<Fate> {
	const fails = (failure: UpstreamFailure, retryAfterMs: number | null = null) => ({
		headMs: dice.between(1, 50),
		end: { after: 0, failure, retryAfterMs },
	});
	switch (kind) {
		case 'outage':
			return fails('connect');
		case 'refusing':
			return fails('server_error', dice.chance(0.3) ? dice.between(10, 3_000) : null);
		case 'quota':
			return fails('rate_limited', dice.chance(0.5) ? dice.between(10, 5_000) : null);
		case 'silence':
			return { silentAfter: dice.whole(0, fate.words) };
		case 'slow':
			return { headMs: fate.headMs * dice.between(5, 30), gapMs: fate.gapMs * dice.between(2, 30) };
		case 'cuts':
			return { end: { after: dice.whole(0, fate.words), failure: 'cut', retryAfterMs: null } };
		case 'no_usage':
			return { tellsUsage: false };
		case 'filter':
			return fails('content_filter');
		case 'nonsense':
			return fails('nonsense');
	}
}

/** The provider's model as one process reaches it. Keeps the time-outs of the port, as every family must. */
export class ProviderModel implements Model {
	readonly upstream: Upstream;
	readonly #provider: Provider;
	readonly #clock: Clock;
	readonly #replica: string;

	constructor(provider: Provider, replica: { clock: Clock; id: string }) {
		this.#provider = provider;
		this.#clock = replica.clock;
		this.#replica = replica.id;
		const { name, price, acts } = provider.plan;
		this.upstream = {
			name,
			provider: name.split('/')[0] as string,
			model: name,
			contextTokensMax: 8_000,
			tokensOutMax: 400,
			tokensOutParameter: 'max_tokens',
			tokenizer: 'o200k_base',
			sideEffects: acts,
			continuesTurn: false,
			timeouts: TIMEOUTS,
			price,
		};
	}

	async complete(request: ModelRequest): Promise<Completion> {
		let text = '';
		let usage: Usage | null = null;
		for await (const chunk of this.#answer(request, 'plain')) {
			text += chunk.text;
			usage = chunk.usage;
		}
		const served = { model: this.upstream.model, responseId: null, fingerprint: null };
		return { text, finishReason: 'stop', toolCalls: null, usage, served, confidence: null, raw: null };
	}

	async stream(request: ModelRequest): Promise<AsyncIterable<CompletionChunk>> {
		return this.#answer(request, 'streamed');
	}

	async close(): Promise<void> {}

	/** Charges for what it has sent: of a plain answer that was broken off that is nothing, beside the input. */
	async *#answer(request: ModelRequest, form: 'plain' | 'streamed'): AsyncGenerator<CompletionChunk> {
		const asked = asking.getStore();
		if (asked === undefined) throw new Error('a call on behalf of no request');
		const prompt = request.messages.map(({ content }) => String(content)).join('\n');
		const fate = this.#provider.fate();
		const call = this.#provider.begin(asked, this.#replica, prompt);
		const tokensIn = 3 * request.messages.length;
		let bill: Bill | null = { tokensIn, tokensOut: 0, reported: false };
		this.#provider.note(call, bill);
		const wait = this.#waits(request, form === 'plain' ? request.timeouts.firstTokenMs : request.timeouts.totalMs);
		let said = 0;
		try {
			const words = [`[${/secret\d+/.exec(prompt)?.[0]}]`, `(r${/ r(\d+) /.exec(prompt)?.[1]})`, ...WORDS].slice(
				0,
				2 + fate.words,
			);
			for (const [at, word] of words.entries()) {
				const isSilent = fate.silentAfter !== null && at >= fate.silentAfter;
				const ms = at === 0 ? fate.headMs : fate.gapMs;
				await wait(isSilent ? Number.POSITIVE_INFINITY : ms, at === 0);
				if (fate.end !== null && at >= fate.end.after) throw this.#error(fate.end.failure, fate.end.retryAfterMs);
				said = at + 1;
				if (form === 'streamed') bill = { tokensIn, tokensOut: said, reported: false };
				this.#provider.note(call, bill);
				yield chunkOf(`${word} `);
			}
			if (fate.end !== null) throw this.#error(fate.end.failure, fate.end.retryAfterMs);
			bill = { tokensIn, tokensOut: said, reported: fate.tellsUsage };
			const usage = {
				tokensIn,
				tokensOut: bill.tokensOut,
				tokensCached: 0,
				tokensCacheWritten: 0,
				tokensReasoning: 0,
				source: 'reported' as const,
			};
			yield { ...chunkOf(''), finishReason: 'stop', usage: fate.tellsUsage ? usage : null };
		} catch (thrown) {
			if (thrown instanceof UpstreamError && NOT_BILLED.has(thrown.kind)) bill = null;
			throw thrown;
		} finally {
			this.#provider.finish(call, bill);
		}
	}

	/** Waits within the time-outs of the call, as the port demands. */
	#waits({ signal, timeouts }: ModelRequest, totalMs: number) {
		const endsAt = this.#clock.monotonic() + Math.min(totalMs, timeouts.totalMs);
		return async (ms: number, isFirst: boolean): Promise<void> => {
			const left = endsAt - this.#clock.monotonic();
			const most = Math.min(isFirst ? timeouts.firstTokenMs : timeouts.idleMs, left);
			try {
				await sleep(this.#clock, Math.min(ms, most), signal);
			} catch (cause) {
				throw new UpstreamError('cancelled', this.upstream.name, 'cancelled', { cause });
			}
			if (ms <= most) return;
			throw this.#error(most === left ? 'timeout_total' : isFirst ? 'timeout_first_token' : 'timeout_idle', null);
		};
	}

	#error(kind: UpstreamFailure, retryAfterMs: number | null): UpstreamError {
		return new UpstreamError(kind, this.upstream.name, `simulated ${kind}`, { retryAfterMs });
	}
}

const WORDS = 'lines on a hull say how much a ship may carry safely'.split(' ');

function chunkOf(text: string): CompletionChunk {
	return { text, finishReason: null, usage: null, served: null, confidence: null, raw: null };
}
