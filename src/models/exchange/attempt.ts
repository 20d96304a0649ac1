import type { Dispatcher } from 'undici';
import type { Clock } from '../../base/clock.ts';
import type { HttpCall, HttpHandler } from '../../base/http.ts';
import type { AttemptTimeouts, ModelRequest, UpstreamError, UpstreamFailure } from '../../spec/model.ts';
import type { Failures, ResponseHeaders } from './failure.ts';
import { type Wait, Watchdog } from './watchdog.ts';

/** Of a body that is kept whole: a plain answer, or an error. */
const BODY_BYTES_MAX = 16 * 1024 * 1024;

export interface AttemptOptions {
	readonly request: Pick<ModelRequest, 'signal' | 'timeouts'>;
	/** The most bytes of a body that is kept whole; left out: 16 MiB. */
	readonly bodyBytesMax?: number;
	readonly clock: Clock;
	readonly failures: Failures;
}

/**
 * One HTTP exchange with the upstream. Ends exactly once, by `finish` or by `fail`, and from then on holds no timer,
 * no listener and no connection (an unfinished one is destroyed).
 */
export abstract class Attempt implements HttpHandler {
	protected readonly failures: Failures;
	protected readonly timeouts: AttemptTimeouts;
	protected readonly watchdog: Watchdog;
	protected status = 0;
	protected headers: ResponseHeaders = {};
	protected ended = false;
	readonly #signal: AbortSignal;
	readonly #onAbort = () => this.fail('cancelled', 'was cancelled by the caller', this.#signal.reason);
	#call: HttpCall | null = null;
	#controller: Dispatcher.DispatchController | null = null;
	#exchangeOver = false;
	#chunks: Buffer[] = [];
	readonly #bytesMax: number;
	#bytes = 0;

	constructor({ request, clock, failures, bodyBytesMax }: AttemptOptions) {
		this.#bytesMax = bodyBytesMax ?? BODY_BYTES_MAX;
		this.failures = failures;
		this.timeouts = request.timeouts;
		this.#signal = request.signal;
		this.watchdog = new Watchdog(clock, request.timeouts.totalMs, (wait) => this.expire(wait));
		this.watchdog.wait('timeout_connect', request.timeouts.connectMs);
	}

	/**
	 * Calls `begin`, which hands this attempt to the connection pool, unless the signal has aborted already. Where it
	 * returns null, `handedOver` follows: the time that passes until then is a part of the wait for a connection.
	 */
	start(begin: () => HttpCall | null): void {
		if (this.#signal.aborted) {
			this.#onAbort();
			return;
		}
		this.#signal.addEventListener('abort', this.#onAbort, { once: true });
		this.#call = begin();
		if (!this.ended) this.watchdog.arm();
	}

	protected handedOver(call: HttpCall): void {
		this.#call = call;
	}

	onRequestStart(controller: Dispatcher.DispatchController): void {
		if (this.ended) {
			controller.abort(new Error('the attempt ended before it got a connection'));
			return;
		}
		this.#controller = controller;
		this.watchdog.wait('timeout_first_token', this.timeouts.firstTokenMs);
	}

	onResponseStart(_controller: Dispatcher.DispatchController, status: number, headers: ResponseHeaders): void {
		if (status < 200 || this.ended) return;
		this.status = status;
		this.headers = headers;
		this.onAccepted();
	}

	abstract onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void;
	protected abstract onBodyEnd(): void;
	protected abstract onFailed(error: UpstreamError): void;
	protected onAccepted(): void {}

	onResponseEnd(): void {
		this.#exchangeOver = true;
		if (!this.ended) this.onBodyEnd();
	}

	onResponseError(_controller: Dispatcher.DispatchController | null, error: Error): void {
		this.#exchangeOver = true;
		if (!this.ended) this.onBroken(error);
	}

	protected onBroken(error: Error): void {
		const [kind, message] = brokenExchange(error, this.#controller !== null, this.status);
		this.fail(kind, message, error);
	}

	/** Keeps a body that is read whole. */
	protected keep(chunk: Buffer): void {
		this.#bytes += chunk.length;
		if (this.#bytes > this.#bytesMax) {
			this.#chunks = [];
			this.fail('nonsense', `sent a body larger than ${Math.ceil(this.#bytesMax / 1024 / 1024)} MiB`);
			return;
		}
		this.#chunks.push(chunk);
	}

	protected body(): string {
		const [first] = this.#chunks;
		if (first === undefined) return '';
		return this.#chunks.length === 1
			? first.toString('utf8')
			: Buffer.concat(this.#chunks, this.#bytes).toString('utf8');
	}

	protected expire(wait: Wait): void {
		if (wait === 'tail') {
			this.finish();
			return;
		}
		this.fail(wait, timeoutMessage(wait, this.timeouts));
	}

	protected fail(kind: UpstreamFailure, message: string, cause?: unknown): void {
		this.failWith(this.failures.of(kind, message, { cause, sent: this.#controller !== null }));
	}

	protected failWith(error: UpstreamError): void {
		if (this.ended) return;
		this.#release();
		this.onFailed(error);
	}

	protected finish(): void {
		if (!this.ended) this.#release();
	}

	#release(): void {
		this.ended = true;
		this.watchdog.stop();
		this.#signal.removeEventListener('abort', this.#onAbort);
		if (this.#exchangeOver) return;
		if (this.#controller) this.#controller.abort(new Error('the attempt has ended'));
		else this.#call?.recall();
	}

	protected hold(paused: boolean): void {
		if (paused) this.#controller?.pause();
		else this.#controller?.resume();
	}
}

function timeoutMessage(wait: Exclude<Wait, 'tail'>, timeouts: AttemptTimeouts): string {
	if (wait === 'timeout_connect') return `gave no connection within ${timeouts.connectMs} ms`;
	if (wait === 'timeout_first_token') return `sent no first token within ${timeouts.firstTokenMs} ms`;
	if (wait === 'timeout_idle') return `was silent for ${timeouts.idleMs} ms in the middle of its answer`;
	return `did not complete its answer within ${timeouts.totalMs} ms`;
}

function brokenExchange(error: Error, sent: boolean, status: number): [UpstreamFailure, string] {
	const code = 'code' in error && typeof error.code === 'string' ? error.code : '';
	const why = causeText(error, code);
	if (code === 'UND_ERR_CONNECT_TIMEOUT') return ['timeout_connect', `gave no connection: ${why}`];
	if (code === 'UND_ERR_DESTROYED' || code === 'UND_ERR_CLOSED') return ['cancelled', 'is closed: no more calls'];
	if (!sent) return ['connect', `could not be reached: ${why}`];
	if (error.name === 'HTTPParserError' || code === 'UND_ERR_HEADERS_OVERFLOW')
		return ['nonsense', `does not speak HTTP: ${why}`];
	if (status === 0) return ['connect', `closed the connection before it answered: ${why}`];
	return ['cut', `broke off its answer: ${why}`];
}

/** A refused dual-stack connection is an AggregateError with an empty message; its code says it all. */
function causeText(error: Error, code: string): string {
	return error.message === '' ? code || error.name : error.message;
}
