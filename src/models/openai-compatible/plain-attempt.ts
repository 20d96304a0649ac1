import type { Dispatcher } from 'undici';
import type { UpstreamError } from '../../spec/model.ts';
import { Attempt, type AttemptOptions } from '../exchange/attempt.ts';
import type { ResponseHeaders } from '../exchange/failure.ts';
import type { Json } from '../exchange/json.ts';
import { AnswerShapeError, parseObject } from './answer.ts';

/** How the body of a 200 is understood. */
interface Reading<T> {
	/** Throws AnswerShapeError. */
	readonly read: (body: Json, raw: string, headers: ResponseHeaders) => T;
	/** With its article. */
	readonly what: string;
	/** Left out: JSON alone. Throws AnswerShapeError. */
	readonly parse?: (raw: string) => Json;
}

/** One exchange whose answer arrives whole. */
export class PlainAttempt<T> extends Attempt {
	readonly #reading: Reading<T>;
	readonly #resolve: (answer: T) => void;
	readonly #reject: (error: UpstreamError) => void;

	constructor(
		options: AttemptOptions & Reading<T>,
		resolve: (answer: T) => void,
		reject: (error: UpstreamError) => void,
	) {
		super(options);
		this.#reading = options;
		this.#resolve = resolve;
		this.#reject = reject;
	}

	override onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
		if (!this.ended) this.keep(chunk);
	}

	protected override onBodyEnd(): void {
		const raw = this.body();
		if (this.status !== 200) {
			this.failWith(this.failures.fromStatus(this.status, this.headers, raw));
			return;
		}
		try {
			const { parse = parseObject, read } = this.#reading;
			const body = parse(raw);
			if (body.error) {
				this.failWith(this.failures.fromErrorObject(body.error));
				return;
			}
			const answer = read(body, raw, this.headers);
			this.finish();
			this.#resolve(answer);
		} catch (error) {
			if (!(error instanceof AnswerShapeError)) throw error;
			this.fail('nonsense', `answered 200 with something else than ${this.#reading.what}: ${error.message}`, error);
		}
	}

	protected override onFailed(error: UpstreamError): void {
		this.#reject(error);
	}
}
