import type { Dispatcher } from 'undici';
import type { Completion, UpstreamError } from '../../spec/model.ts';
import { Attempt, type AttemptOptions } from '../exchange/attempt.ts';
import { AnswerShapeError, parseObject, readCompletion } from './answer.ts';

/** One exchange whose answer arrives whole. */
export class PlainAttempt extends Attempt {
	readonly #resolve: (completion: Completion) => void;
	readonly #reject: (error: UpstreamError) => void;

	constructor(
		options: AttemptOptions,
		resolve: (completion: Completion) => void,
		reject: (error: UpstreamError) => void,
	) {
		super(options);
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
			const body = parseObject(raw);
			if (body.error) {
				this.failWith(this.failures.fromErrorObject(body.error));
				return;
			}
			const completion = readCompletion(body, raw);
			this.finish();
			this.#resolve(completion);
		} catch (error) {
			if (!(error instanceof AnswerShapeError)) throw error;
			this.fail('nonsense', `answered 200 with something else than a chat completion: ${error.message}`, error);
		}
	}

	protected override onFailed(error: UpstreamError): void {
		this.#reject(error);
	}
}
