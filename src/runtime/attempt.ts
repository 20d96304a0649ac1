import { countTokens } from '../base/tokens.ts';
import { costOf } from '../policy/cost.ts';
import { FAILURES } from '../policy/failure-table.ts';
import {
	type Completion,
	type Model,
	type ModelRequest,
	type Upstream,
	UpstreamError,
	type Usage,
} from '../spec/model.ts';
import type { AttemptKind, AttemptTrace } from '../spec/trace.ts';
import { outgoingOf } from './outgoing-stream.ts';
import type { Lane } from './race.ts';
import type { AnswerSink } from './request.ts';
import type { BegunEffect, RequestContext, StepNotes } from './request-context.ts';
import { CallPieces, saidInCalls, soundCalls } from './tool-calls.ts';

/** What one call to an upstream produced, and what it cost. */
export interface Produced {
	readonly completion: Completion;
	readonly usage: Usage;
	readonly costMicros: number;
	readonly costSource: 'reported' | 'estimated';
}

/** A failed call: why, and whether the client has seen a part of its answer. */
export interface Failed {
	readonly error: UpstreamError;
	readonly answerStarted: boolean;
	readonly costMicros: number;
	readonly costSource: 'reported' | 'estimated';
	/** What the provider said that the call used, or our own count; null when it did not begin to work on it. */
	readonly usage: Usage | null;
	/** What went wrong on our side or the client's, to be thrown on once the call is accounted for; null: the upstream failed. */
	readonly fault: unknown;
}

export type AttemptResult = (({ readonly ok: true } & Produced) | ({ readonly ok: false } & Failed)) & {
	/** Until the first token of a stream, or else until the end, milliseconds. */
	readonly tookMs: number;
};

interface AttemptPlan {
	readonly model: Model;
	readonly request: ModelRequest;
	/** What the ledger holds of this call; null for an upstream without side effects. */
	readonly effect: BegunEffect | null;
	/** Tokens of the messages; called only when the provider reports no usage. */
	readonly countTokensIn: () => number;
	/** Where the provider was told to stop: a count of our own never goes beyond. */
	readonly tokensOutMax: number;
	/** Where a stream goes; null: the whole answer is waited for. */
	readonly sink: AnswerSink | null;
	/** Chunks go to the client as they are, so that any of them, not only text, is a part of the answer. */
	readonly passThrough: boolean;
	/** Where it runs beside another attempt; null: it is alone. */
	readonly lane: Lane | null;
	readonly kind: AttemptKind;
	/** Told once, when a stream's answer begins. */
	readonly begun: (tookMs: number) => void;
}

const NOTHING = { micros: 0, source: 'reported' } as const;

/** Longest a stream's answer may grow, in characters: what does not fit is an upstream gone wrong. */
const ANSWER_CHARS_MAX = 4_000_000;

/** One try at one upstream: exactly one attempt in the trace, and its cost, whatever happens. */
export async function attempt(context: RequestContext, plan: AttemptPlan, notes: StepNotes): Promise<AttemptResult> {
	const { upstream } = plan.model;
	const startedMs = context.elapsedMs();
	const progress = new Progress(context, startedMs, upstream.name);
	try {
		const completion = plan.sink ? await streamTo(context, plan, progress) : await wholeOf(plan, progress, notes);
		if (plan.sink === null) context.held?.add(completion.text.length);
		const usage = completion.usage ?? estimatedUsage(plan, progress.said || saidBy(completion));
		const { micros, source } = costOf(usage, upstream.price);
		note(notes, progress.end(plan, { outcome: 'ok', error: null, completion, usage, micros }));
		Object.assign(notes.detail, completion.served.details);
		return { ok: true, completion, usage, costMicros: micros, costSource: source, tookMs: progress.tookMs };
	} catch (thrown) {
		const isLost = plan.lane?.lost ?? false;
		const error = isLost ? hedgedAway(thrown, upstream.name) : asUpstreamError(thrown, upstream.name);
		if (!error.sent) await plan.effect?.void();
		const isBilled = FAILURES[error.kind].billed || progress.said !== '';
		const usage = progress.reported ?? (isBilled ? estimatedUsage(plan, progress.said) : null);
		const { micros, source } = usage ? costOf(usage, upstream.price) : NOTHING;
		note(notes, progress.end(plan, { outcome: error.kind, error: error.message, completion: null, usage, micros }));
		// The client's side of a stream failed, and the request is not over: that is no failure of the upstream.
		const fault = error !== thrown && !isLost && !context.signal.aborted ? thrown : null;
		const { sent: answerStarted, tookMs } = progress;
		return { ok: false, error, answerStarted, costMicros: micros, costSource: source, usage, fault, tookMs };
	}
}

/**
 * Writes down that an upstream with side effects is about to be called, so that nobody who finds the request dead takes it
 * for harmless. Throws `idempotency_unavailable`: then it must not be called.
 */
export async function beginEffect(context: RequestContext, upstream: Upstream): Promise<BegunEffect | null> {
	if (!upstream.sideEffects) return null;
	const { name } = upstream;
	const begun = (await context.effects?.begin({ kind: 'upstream', name })) ?? null;
	const had = context.mayHaveActed;
	context.mayHaveActed = true;
	return {
		async void() {
			context.mayHaveActed = had;
			await begun?.void();
		},
	};
}

function note({ attempts }: StepNotes, attempt: Omit<AttemptTrace, 'seq'>): void {
	attempts.push({ seq: attempts.length, ...attempt });
}

/** What is known of a call while it runs. */
class Progress {
	text = '';
	/** What the model thought, which is counted and never judged. */
	thoughts = '';
	/** Whether the client has seen a part of the answer. */
	sent = false;
	firstTokenMs: number | null = null;
	/** What the provider said that the call used, however it then ended. */
	reported: Usage | null = null;
	readonly calls: CallPieces;
	readonly #context: RequestContext;
	readonly #startedMs: number;

	constructor(context: RequestContext, startedMs: number, upstream: string) {
		this.calls = new CallPieces(upstream);
		this.#context = context;
		this.#startedMs = startedMs;
	}

	get tookMs(): number {
		return this.firstTokenMs ?? this.#context.sinceMs(this.#startedMs);
	}

	/** All that the provider bills. */
	get said(): string {
		return this.thoughts + this.text + this.calls.said;
	}

	/** Pieces of calls of tools, which a client may already act on. */
	call(pieces: readonly unknown[]): void {
		this.#context.held?.grow(this.calls.add(pieces));
	}

	think(text: string): void {
		this.#context.held?.grow(text.length);
		this.thoughts += text;
	}

	add(text: string): void {
		if (text === '') return;
		if (this.firstTokenMs === null) {
			this.firstTokenMs = this.#context.sinceMs(this.#startedMs);
		}
		this.#context.held?.grow(text.length);
		this.text += text;
	}

	end(
		plan: AttemptPlan,
		end: { outcome: string; error: string | null; completion: Completion | null; usage: Usage | null; micros: number },
	): Omit<AttemptTrace, 'seq'> {
		return {
			upstream: plan.model.upstream.name,
			model_name: end.completion?.served.model ?? plan.model.upstream.model,
			provider_response_id: end.completion?.served.responseId ?? null,
			started_ms: this.#startedMs,
			latency_ms: this.#context.sinceMs(this.#startedMs),
			time_to_first_token_ms: this.firstTokenMs,
			outcome: end.outcome,
			error: end.error,
			tokens_in: end.usage?.tokensIn ?? 0,
			tokens_out: end.usage?.tokensOut ?? 0,
			cost_usd_micros: end.micros,
			kind: plan.kind,
		};
	}
}

/** A whole answer whose calls of tools can be made. */
async function wholeOf(plan: AttemptPlan, progress: Progress, { detail }: StepNotes): Promise<Completion> {
	const answered = await plan.model.complete(plan.request);
	if (answered.toolCalls === null) return answered;
	progress.reported = answered.usage;
	const { completion, repaired } = soundCalls(answered, plan.model.upstream.name);
	if (repaired > 0) detail.repaired_calls = repaired;
	return completion;
}

/** Passes a stream on, chunk by chunk, at the client's pace, and returns the whole of it. */
async function streamTo(context: RequestContext, plan: AttemptPlan, progress: Progress): Promise<Completion> {
	const sink = plan.sink as AnswerSink;
	const outgoing = outgoingOf(sink);
	outgoing?.begin();
	progress.sent = outgoing?.started ?? false;
	const whole = { finishReason: '', usage: null as Usage | null, confidence: null as number | null };
	let served: Completion['served'] = { model: null, responseId: null, fingerprint: null };
	let hasBegun = false;
	const chunks = await plan.model.stream(plan.request);
	for await (const chunk of plan.lane ? plan.lane.gate(chunks) : chunks) {
		progress.add(chunk.text);
		if (chunk.thought !== undefined) progress.think(chunk.thought.text);
		if (chunk.toolCalls !== undefined) progress.call(chunk.toolCalls);
		progress.reported = chunk.usage ?? progress.reported;
		if (chunk.finishReason !== null) progress.calls.end(chunk.finishReason);
		if (!hasBegun && (chunk.text !== '' || chunk.toolCalls !== undefined || chunk.thought !== undefined)) {
			hasBegun = true;
			plan.begun(progress.tookMs);
		}
		if (progress.text.length + progress.thoughts.length > ANSWER_CHARS_MAX) {
			throw new UpstreamError(
				'nonsense',
				plan.model.upstream.name,
				`The answer passed ${ANSWER_CHARS_MAX} characters.`,
			);
		}
		served = chunk.served ?? served;
		whole.finishReason = chunk.finishReason ?? whole.finishReason;
		whole.usage = chunk.usage ?? whole.usage;
		whole.confidence = chunk.confidence ?? whole.confidence;
		if (!outgoing) progress.sent ||= plan.passThrough || chunk.text !== '' || chunk.toolCalls !== undefined;
		const written = sink.chunk(chunk);
		progress.sent ||= outgoing?.started ?? false;
		if (outgoing ? outgoing.started : chunk.text !== '') context.markFirstToken();
		if (written) await written;
		// What follows could not make it right.
		if (outgoing?.failed) break;
	}
	return { ...whole, text: outgoing?.text ?? progress.text, toolCalls: null, served, raw: null };
}

function saidBy({ thoughts = [], text, toolCalls }: Completion): string {
	return thoughts.map((thought) => thought.text).join('') + text + saidInCalls(toolCalls);
}

function estimatedUsage(plan: AttemptPlan, text: string): Usage {
	const { tokenizer } = plan.model.upstream;
	return {
		tokensIn: plan.countTokensIn(),
		tokensOut: Math.min(countTokens(text, tokenizer), plan.tokensOutMax),
		tokensCached: 0,
		tokensCacheWritten: 0,
		tokensReasoning: 0,
		source: 'estimated',
	};
}

/** How an attempt ends that another one was faster than: whatever its upstream made of being cancelled. */
function hedgedAway(cause: unknown, upstream: string): UpstreamError {
	return new UpstreamError('cancelled', upstream, 'hedged: another attempt was first.', { cause });
}

function asUpstreamError(thrown: unknown, upstream: string): UpstreamError {
	if (thrown instanceof UpstreamError) return thrown;
	return new UpstreamError('cancelled', upstream, 'The request ended first.', { cause: thrown });
}
