import type { Dispatcher } from 'undici';
import type { HttpCall, HttpHandler } from '../../base/http.ts';
import type { UpstreamError } from '../../spec/model.ts';
import { Attempt, type AttemptOptions } from '../exchange/attempt.ts';
import type { ResponseHeaders } from '../exchange/failure.ts';
import { errorEvent } from '../exchange/failure.ts';
import { isObject, type Json } from '../exchange/json.ts';
import type { Wait } from '../exchange/watchdog.ts';

/** Bytes that the package has not read: above the first the upstream is paused, below the second it goes on. */
const UNREAD_BYTES_MAX = 1024 * 1024;
const UNREAD_BYTES_RESUME = 256 * 1024;

/** The most bytes that the package may read without making anything of them: a whole plain answer, or one event. */
const UNTOLD_BYTES_MAX = 16 * 1024 * 1024;

/** After the provider's last word, how long the end of its body may take; the answer is whole without it. */
const TAIL_MS = 1000;

interface Answered {
	readonly resolve: (response: Response) => void;
	readonly reject: (error: UpstreamError) => void;
}

/**
 * One HTTP exchange that a provider package makes through `fetch`. Its time-outs, its cancellation and its caps are on the
 * bytes, below the package. There is one request in an attempt: whatever would be sent again behind our back is refused.
 */
export class FetchAttempt extends Attempt {
	/** Rejects when the attempt fails; never resolves. */
	readonly failed: Promise<never>;
	readonly #fail: (error: UpstreamError) => void;
	readonly #streams: boolean;
	readonly #mark: string | null;
	#error: UpstreamError | null = null;
	#late: UpstreamError | null = null;
	#answered: Answered | null = null;
	#wasSent = false;
	#isAnswer = false;
	#hasGenerated = false;
	/** The provider has said all that it has to say. */
	#isLast = false;
	#isOver = false;
	#unread: Buffer[] = [];
	#unreadBytes = 0;
	#untoldBytes = 0;
	#paused = false;
	#reading: ReadableStreamDefaultController<Uint8Array> | null = null;

	/**
	 * @param answer.streams a stream of events was asked for, so that a JSON body is no answer.
	 * @param answer.mark put after the body.
	 */
	constructor(options: AttemptOptions, answer: { readonly streams: boolean; readonly mark: string | null }) {
		super(options);
		this.#streams = answer.streams;
		this.#mark = answer.mark;
		const { promise, reject } = Promise.withResolvers<never>();
		this.failed = promise;
		this.#fail = reject;
		promise.catch(() => {}); // Whoever waits for it hears of it; nobody may.
	}

	/** Why it failed; null as long as it did not. A break after the last word counts only if the package cannot finish. */
	get error(): UpstreamError | null {
		return this.#error ?? this.#late;
	}

	get wasSent(): boolean {
		return this.#wasSent;
	}

	get responseHeaders(): ResponseHeaders {
		return this.headers;
	}

	/** What the package's `fetch` does. */
	send(post: (handler: HttpHandler) => HttpCall): Promise<Response> {
		if (this.#wasSent || this.ended) {
			const again = this.failures.of('nonsense', 'would have been asked twice in one attempt by its package');
			return Promise.reject(this.#error ?? again);
		}
		this.#wasSent = true;
		return new Promise((resolve, reject) => {
			this.#answered = { resolve, reject };
			this.handedOver(post(this));
		});
	}

	/** The consumer waits for the next piece: from now on silence is the upstream's. */
	awaits(): void {
		if (this.#hasGenerated && !this.#isLast && !this.#paused) this.watchdog.wait('timeout_idle', this.timeouts.idleMs);
	}

	/** The package made a part of what it read. */
	told(generated: boolean): void {
		this.#untoldBytes = 0;
		this.#hasGenerated ||= generated;
	}

	/** The consumer has something to do: silence is no longer the upstream's. */
	rests(): void {
		if (this.#hasGenerated && !this.#isLast) this.watchdog.pause();
	}

	/** Nothing more is awaited but the end of the body, which the package may need to finish. */
	last(): void {
		if (this.#isLast || this.ended) return;
		this.#isLast = true;
		this.watchdog.wait('tail', TAIL_MS);
	}

	/** The answer is whole: what else comes is let pass, so that the connection can be used again. */
	complete(): void {
		this.last();
		this.#isOver = true;
		this.#unread = [];
		this.#unreadBytes = 0;
		this.#resume();
	}

	/** The consumer wants no more. */
	abandon(): void {
		if (!this.#isOver) this.finish();
	}

	protected override onAccepted(): void {
		const type = String(this.headers['content-type'] ?? '');
		// A proxy's page is no answer, whatever its status.
		this.#isAnswer = this.status === 200 && !/\bhtml\b/i.test(type) && !(this.#streams && isJson(type));
		if (!this.#isAnswer) return;
		const body = new ReadableStream<Uint8Array>(
			{ pull: (controller) => this.#pull(controller), cancel: () => this.#refused() },
			{ highWaterMark: 0 },
		);
		const headers = new Headers();
		for (const [name, value] of Object.entries(this.headers)) if (value !== undefined) headers.set(name, String(value));
		this.#answered?.resolve(new Response(body, { status: this.status, headers }));
	}

	override onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
		if (this.ended || this.#isOver) return;
		if (!this.#isAnswer) {
			this.keep(chunk);
			return;
		}
		this.#unread.push(chunk);
		this.#unreadBytes += chunk.length;
		if (this.#reading !== null) this.#give(this.#reading);
		if (this.#unreadBytes > UNREAD_BYTES_MAX && !this.#paused) {
			this.#paused = true;
			this.hold(true);
		}
	}

	protected override onBodyEnd(): void {
		if (this.#isAnswer) this.finish();
		else if (this.status === 200) this.#refuse(this.body());
		else this.failWith(this.failures.fromStatus(this.status, this.headers, this.body()));
	}

	/** A 200 that is no answer may still say why. */
	#refuse(text: string): void {
		const error = isJson(String(this.headers['content-type'])) ? errorIn(text) : null;
		if (error !== null) this.failWith(this.failures.fromErrorObject(error));
		else this.fail('nonsense', `answered 200 with something else than an answer: ${text.slice(0, 200)}`);
	}

	protected override onBroken(error: Error): void {
		if (!this.#isLast) {
			super.onBroken(error);
			return;
		}
		this.#late = this.failures.of('cut', 'broke off after the last word of its answer', { cause: error });
		this.finish();
	}

	protected override expire(wait: Wait): void {
		if (this.#isLast) this.finish();
		else super.expire(wait);
	}

	protected override onFailed(error: UpstreamError): void {
		this.#error = error;
		this.#fail(error);
		this.#answered?.reject(error);
		if (error.kind === 'cancelled') {
			this.#unread = [];
			this.#reading?.error(error);
			this.#reading = null;
		} else this.#end();
	}

	protected override finish(): void {
		super.finish();
		this.#end();
	}

	/** What had arrived is read to its end: the package tells what it can, and the consumer learns of the error after it. */
	#end(): void {
		if (this.#reading === null || this.#unread.length > 0) return;
		this.#close(this.#reading);
		this.#reading = null;
	}

	#close(controller: ReadableStreamDefaultController<Uint8Array>): void {
		if (this.#mark !== null) controller.enqueue(Buffer.from(this.#mark));
		controller.close();
	}

	#refused(): void {
		this.#reading = null;
		this.abandon();
	}

	#pull(controller: ReadableStreamDefaultController<Uint8Array>): void {
		if (this.#error?.kind === 'cancelled') controller.error(this.#error);
		else if (this.#unread.length > 0) this.#give(controller);
		else if (this.ended) this.#close(controller);
		else this.#reading = controller;
	}

	#give(controller: ReadableStreamDefaultController<Uint8Array>): void {
		const chunk = this.#unread.shift();
		if (chunk === undefined) return;
		this.#reading = null;
		this.#unreadBytes -= chunk.length;
		this.#untoldBytes += chunk.length;
		if (this.#untoldBytes > UNTOLD_BYTES_MAX) {
			this.#unread = [];
			this.#reading = controller;
			this.fail('nonsense', `sent more than ${UNTOLD_BYTES_MAX / 1024 / 1024} MiB that say nothing`);
			return;
		}
		controller.enqueue(chunk);
		if (this.#unreadBytes < UNREAD_BYTES_RESUME) this.#resume();
	}

	#resume(): void {
		if (!this.#paused) return;
		this.#paused = false;
		if (!this.ended) this.hold(false);
	}
}

function isJson(type: string): boolean {
	return /^application\/json\b/i.test(type);
}

/** The error object of a JSON text; null when it has none. */
function errorIn(text: string): Json | null {
	try {
		const value: unknown = JSON.parse(text);
		return isObject(value) ? errorEvent(value) : null;
	} catch {
		return null; // Not JSON, whatever its type says.
	}
}
