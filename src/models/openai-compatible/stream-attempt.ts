import type { Dispatcher } from 'undici';
import type { CompletionChunk, ModelRequest, ServedBy, UpstreamError } from '../../spec/model.ts';
import { Attempt, type AttemptOptions } from '../exchange/attempt.ts';
import type { Json } from '../exchange/json.ts';
import type { Wait } from '../exchange/watchdog.ts';
import { AnswerShapeError, type Delta, parseObject, readDelta, readServed, withCalls } from './answer.ts';
import { CallNumbers } from './call-numbers.ts';
import { SseError, SseParser } from './sse-parser.ts';

/** Chunks that the consumer has not taken: above the first the upstream is paused, below the second it goes on. */
const BUFFERED_CHARS_MAX = 1024 * 1024;
const BUFFERED_CHARS_RESUME = 256 * 1024;

/** After the finish reason, how long the usage report and `[DONE]` may take; the answer is whole without them. */
const TAIL_MS = 1000;

/** So many events of one stream may be no JSON, or not of its shape: more is no accident. */
const SKIPPED_MAX = 8;

const UNSOUND = 'sent events that cannot be read, and no sound end after them';

type Taken = IteratorResult<CompletionChunk, undefined>;

interface Taker {
	readonly resolve: (taken: Taken) => void;
	readonly reject: (error: UpstreamError) => void;
}

/**
 * One exchange whose answer arrives in pieces; itself the iterator of the pieces. Several events of one network chunk
 * are queued in one go, and taking a queued one costs one promise.
 */
export class StreamAttempt extends Attempt implements AsyncIterableIterator<CompletionChunk, undefined> {
	readonly #parser = new SseParser((data, event) => this.#onEvent(data, event));
	readonly #accepted: (chunks: AsyncIterable<CompletionChunk>) => void;
	readonly #refused: (error: UpstreamError) => void;
	readonly #choices: number;
	#isEventStream = false;
	#wasAccepted = false;
	#sawEvent = false;
	/** Events before the last word that could not be read, so that the answer may have a hole. */
	#skipped = 0;
	#callsTools = false;
	readonly #numbers = new CallNumbers();
	/** The last event told of a thought. */
	#thinks = false;
	#served: ServedBy | null = null;
	#finishedChoices: readonly number[] = [];
	#finishReason: string | null = null;
	/** Nothing more is awaited: `[DONE]`, or the usage report after the finish reason. */
	#complete = false;
	#queue: CompletionChunk[] = [];
	#head = 0;
	#queuedChars = 0;
	#paused = false;
	#error: UpstreamError | null = null;
	/** The consumer has nothing more to expect once the queue is empty. */
	#closed = false;
	#taker: Taker | null = null;

	constructor(
		options: AttemptOptions & { readonly request: ModelRequest },
		accepted: (chunks: AsyncIterable<CompletionChunk>) => void,
		refused: (error: UpstreamError) => void,
	) {
		super(options);
		this.#accepted = accepted;
		this.#refused = refused;
		const { n } = options.request.parameters;
		this.#choices = typeof n === 'number' && n > 1 ? n : 1;
	}

	protected override onAccepted(): void {
		const type = String(this.headers['content-type'] ?? '');
		// Some compatible servers forget the type; these two are what a proxy's page and a plain answer have.
		this.#isEventStream = this.status === 200 && !/\b(?:html|json)\b/i.test(type);
		if (!this.#isEventStream) return;
		this.#wasAccepted = true;
		this.#accepted(this);
	}

	override onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
		if (this.ended || this.#complete) return;
		if (!this.#isEventStream) {
			this.keep(chunk);
			return;
		}
		this.#parse(() => this.#parser.push(chunk));
		if (this.#queuedChars > BUFFERED_CHARS_MAX && !this.#paused && !this.#complete) {
			this.#paused = true;
			// The silence is ours now.
			this.watchdog.pause();
			this.hold(true);
		}
	}

	protected override onBodyEnd(): void {
		if (!this.#isEventStream) {
			this.#refuse();
			return;
		}
		if (!this.#complete) this.#parse(() => this.#parser.end(), true);
		this.#bodyOver('ended its stream without a finish reason');
	}

	protected override onBroken(error: Error): void {
		// The line with the finish reason may have come, and only the line ends after it not.
		if (this.#isEventStream && !this.#complete) this.#parse(() => this.#parser.end(), true);
		if (this.#isWhole()) this.finish();
		else super.onBroken(error);
	}

	/** Time that runs out after the last word takes nothing from the answer. */
	protected override expire(wait: Wait): void {
		if (this.#isWhole()) this.finish();
		else if (wait === 'tail') this.fail('cut', UNSOUND);
		else super.expire(wait);
	}

	protected override failWith(error: UpstreamError): void {
		if (this.#complete) this.finish();
		else super.failWith(error);
	}

	protected override onFailed(error: UpstreamError): void {
		if (!this.#wasAccepted) {
			this.#refused(error);
			return;
		}
		this.#error = error;
		this.#closed = true;
		// Who cancelled does not wait for what had arrived before.
		if (error.kind === 'cancelled') this.#clear();
		this.#serve();
	}

	protected override finish(): void {
		super.finish();
		if (this.#wasAccepted) this.#close();
	}

	#bodyOver(cutMessage: string): void {
		if (this.ended) return;
		if (this.#isWhole()) this.finish();
		else if (!this.#sawEvent && this.#skipped > 0) this.fail('nonsense', 'sent a stream of which nothing can be read');
		else this.fail('cut', this.#isFinished() ? UNSOUND : cutMessage);
	}

	#isFinished(): boolean {
		return this.#finishReason !== null && this.#finishedChoices.length >= this.#choices;
	}

	/** What has a hole must bring its end mark too. */
	#isWhole(): boolean {
		return this.#isFinished() && this.#skipped === 0;
	}

	#refuse(): void {
		const raw = this.body();
		if (this.status !== 200) {
			this.failWith(this.failures.fromStatus(this.status, this.headers, raw));
			return;
		}
		let body: Json | null = null;
		try {
			body = parseObject(raw);
		} catch (error) {
			if (!(error instanceof AnswerShapeError)) throw error;
			this.fail('nonsense', `answered 200 with something else than a stream: ${error.message}`, error);
			return;
		}
		if (body.error) this.failWith(this.failures.fromErrorObject(body.error));
		else this.fail('nonsense', 'answered a request for a stream with a plain JSON body');
	}

	/** @param atEnd the body is over: what does not parse was cut short. */
	#parse(step: () => void, atEnd = false): void {
		try {
			step();
		} catch (error) {
			if (!(error instanceof SseError) && !(error instanceof AnswerShapeError)) throw error;
			// The last event was cut short; whether the answer was whole is judged without it.
			if (atEnd && (this.#sawEvent || error instanceof AnswerShapeError)) return;
			this.fail('nonsense', `sent a stream that is not one of chat completions: ${error.message}`, error);
		}
	}

	#onEvent(data: string, name: string): void {
		if (this.ended || this.#complete) return;
		if (data === '[DONE]') {
			this.#onDone();
			return;
		}
		const event = this.#read(data);
		if (event === null) return;
		this.#sawEvent = true;
		if (event.error || name === 'error') {
			if (!this.#isWhole()) this.failWith(this.failures.fromErrorObject(event.error ?? event));
			return;
		}
		// A named event without choices is a server's own, such as a ping.
		if (name !== '' && name !== 'message' && event.choices === undefined) return;
		const delta = this.#tolerant(data, () => readDelta(event));
		if (delta !== null) this.#onDelta(delta, event, data);
	}

	#read(data: string): Json | null {
		return this.#tolerant(data, () => parseObject(data));
	}

	/** One event that cannot be read is left out, if the rest of the stream is sound; see #onDone. */
	#tolerant<T>(data: string, read: () => T): T | null {
		try {
			return read();
		} catch (error) {
			if (!(error instanceof AnswerShapeError)) throw error;
			// After the last word nothing can be missing.
			if (this.#isFinished()) return null;
			this.#callsTools ||= data.includes('tool_call');
			if (++this.#skipped > SKIPPED_MAX) throw error;
			return null;
		}
	}

	#onDone(): void {
		if (!this.#isFinished()) {
			this.fail('cut', 'sent [DONE] without a finish reason');
			return;
		}
		// A sentence may lack a word; a call with a hole in its arguments would be another call.
		if (this.#skipped > 0 && (this.#callsTools || this.#finishReason !== 'stop')) {
			this.fail('cut', UNSOUND);
			return;
		}
		this.#onComplete();
	}

	/** The consumer is done at once; the connection gets a moment to end properly, so that it can be used again. */
	#onComplete(): void {
		this.#complete = true;
		this.watchdog.wait('tail', TAIL_MS);
		this.#close();
	}

	#onDelta(delta: Delta, event: Json, said: string): void {
		const finishReason = this.#finish(delta);
		const served = finishReason !== null && this.#skipped > 0 ? this.#servedBadly() : this.#serveChange(event);
		this.#callsTools ||= delta.generated && delta.text === '' && said.includes('"tool_calls"');
		const { text, usage } = delta;
		const toolCalls = delta.toolCalls && this.#numbers.sound(delta.toolCalls);
		const raw = toolCalls === delta.toolCalls ? said : withCalls(event, toolCalls);
		const calls = toolCalls === null ? {} : { toolCalls };
		const thought =
			delta.thought === '' ? {} : { thought: { begins: !this.#thinks, text: delta.thought, proof: null } };
		this.#thinks = delta.thought !== '';
		this.#queue.push({ text, ...calls, ...thought, finishReason, usage, served, confidence: null, raw });
		this.#queuedChars += raw.length;
		if (this.#isFinished()) {
			if (delta.empty && delta.usage !== null && this.#isWhole()) this.#onComplete();
			else this.watchdog.wait('tail', TAIL_MS);
		} else if (delta.generated) this.watchdog.wait('timeout_idle', this.timeouts.idleMs);
		this.#serve();
	}

	/** The finish reason, once, when every choice has finished. */
	#finish(delta: Delta): string | null {
		if (delta.finishReason === null || this.#isFinished()) return null;
		const fresh = delta.finished.filter((index) => !this.#finishedChoices.includes(index));
		this.#finishedChoices = [...this.#finishedChoices, ...fresh];
		if (this.#finishReason === null || delta.finished.includes(0)) this.#finishReason = delta.finishReason;
		return this.#isFinished() ? this.#finishReason : null;
	}

	/** With the number of events that were left out, for the trace. */
	#servedBadly(): ServedBy {
		const known: ServedBy = this.#served ?? { model: null, responseId: null, fingerprint: null };
		return { ...known, details: { ...known.details, skipped_events: String(this.#skipped) } };
	}

	/** What the event says about who serves, when that is news. */
	#serveChange(event: Json): ServedBy | null {
		const known = this.#served;
		if (known === null) {
			this.#served = readServed(event, this.headers);
			return this.#served;
		}
		const { id, model, system_fingerprint: mark } = event;
		if (id === known.responseId && model === known.model && (!mark || mark === known.fingerprint)) return null;
		const said = readServed(event);
		const served = {
			...known,
			model: said.model ?? known.model,
			responseId: said.responseId ?? known.responseId,
			fingerprint: said.fingerprint ?? known.fingerprint,
		};
		const { model: name, responseId, fingerprint } = known;
		if (served.model === name && served.responseId === responseId && served.fingerprint === fingerprint) return null;
		this.#served = served;
		return served;
	}

	[Symbol.asyncIterator](): this {
		return this;
	}

	/** One consumer, one call at a time, as `for await` does. */
	next(): Promise<Taken> {
		if (this.#taker)
			return Promise.reject(new TypeError('a stream of chunks has one consumer, which awaits each chunk'));
		const chunk = this.#take();
		if (chunk) return Promise.resolve({ done: false, value: chunk });
		if (this.#closed) return this.#endTaken();
		return new Promise((resolve, reject) => {
			this.#taker = { resolve, reject };
		});
	}

	/** The consumer stops early: the upstream is told by closing the connection. */
	return(): Promise<Taken> {
		// A complete stream may still end properly and leave its connection for reuse.
		if (!this.#complete) this.finish();
		this.#error = null;
		this.#closed = true;
		this.#clear();
		this.#serve();
		return Promise.resolve({ done: true, value: undefined });
	}

	#take(): CompletionChunk | null {
		const chunk = this.#queue[this.#head];
		if (chunk === undefined) return null;
		this.#head++;
		this.#queuedChars -= chunk.raw?.length ?? 0;
		if (this.#head === this.#queue.length) {
			this.#queue = [];
			this.#head = 0;
		}
		if (this.#paused && this.#queuedChars < BUFFERED_CHARS_RESUME) this.#resume();
		return chunk;
	}

	#resume(): void {
		this.#paused = false;
		if (this.ended) return;
		if (this.#isFinished()) this.watchdog.wait('tail', TAIL_MS);
		else this.watchdog.wait('timeout_idle', this.timeouts.idleMs);
		this.hold(false);
	}

	#clear(): void {
		this.#queue = [];
		this.#head = 0;
		this.#queuedChars = 0;
	}

	#close(): void {
		this.#closed = true;
		this.#serve();
	}

	/** Hands what there is to a consumer that waits. */
	#serve(): void {
		const taker = this.#taker;
		if (!taker) return;
		const chunk = this.#take();
		if (!chunk && !this.#closed) return;
		this.#taker = null;
		if (chunk) taker.resolve({ done: false, value: chunk });
		else this.#endTaken().then(taker.resolve, taker.reject);
	}

	#endTaken(): Promise<Taken> {
		const error = this.#error;
		this.#error = null;
		return error ? Promise.reject(error) : Promise.resolve({ done: true, value: undefined });
	}
}
