import { PartialJson, PartialJsonError } from '../base/partial-json.ts';
import type { Answer, AnswerSink } from '../runtime/request.ts';
import type { RequestContext } from '../runtime/request-context.ts';
import { PlimsollError } from '../spec/errors.ts';
import type { PartCheck } from '../spec/guard.ts';
import type { CompletionChunk } from '../spec/model.ts';
import { type Envelope, invokeResponse } from './chat-response.ts';
import { errorBody } from './error-response.ts';
import type { Outlet } from './outlet.ts';

/** A value of the output at its JSON pointer. */
interface OutputPart {
	readonly path: string;
	readonly value: unknown;
}

/**
 * Writes the typed answer of `invoke` as server-sent events: what is complete of it, then the whole, then `[DONE]`. Of JSON a
 * value is sent when it is complete and its sub-schema lets it pass; one that does not ends the request before it is sent.
 */
export class InvokeStream implements AnswerSink {
	readonly #outlet: Outlet;
	readonly #envelope: Envelope;
	readonly #context: RequestContext;
	readonly #isJson: boolean;
	readonly #reader: PartialJson | null;
	#hasRead = false;
	#parts: OutputPart[] = [];

	/** @param options.partCheck null: what arrives before the end is not JSON, or is not looked at. */
	constructor(
		outlet: Outlet,
		envelope: Envelope,
		options: { context: RequestContext; isJson: boolean; partCheck: PartCheck | null },
	) {
		this.#outlet = outlet;
		this.#envelope = envelope;
		this.#context = options.context;
		this.#isJson = options.isJson;
		const { partCheck } = options;
		this.#reader = partCheck && new PartialJson((path, value) => this.#onValue(path, { value, partCheck }));
	}

	/** Resolves when the client has room for more. */
	chunk({ text, finishReason }: CompletionChunk): void | Promise<void> {
		if (text === '') return;
		if (!this.#isJson) return this.#write({ object: 'feature.partial', text });
		// What comes in one piece follows as the whole, and may be the fixed text of a failure policy.
		const isWhole = finishReason !== null && !this.#hasRead;
		if (this.#reader === null || isWhole || this.#context.signal.aborted) return;
		this.#hasRead = true;
		try {
			this.#reader.push(text);
		} catch (error) {
			if (!(error instanceof PartialJsonError) && !(error instanceof Violation)) throw error;
			this.#refuse(error.message);
		}
		const parts = this.#parts;
		this.#parts = [];
		return parts.length === 0 ? undefined : this.#write({ object: 'feature.partial', parts });
	}

	end(answer: Answer): void {
		this.#write({ object: 'feature.output', ...invokeResponse(this.#envelope, answer, this.#isJson) });
		this.#outlet.end('data: [DONE]\n\n');
	}

	/** A typed error and no `[DONE]`, so that no client takes the parts for the whole. */
	fail(error: PlimsollError): void {
		this.#outlet.fail(eventOf(errorBody(error, this.#envelope.requestId)));
	}

	#onValue(path: readonly (string | number)[], { value, partCheck }: { value: unknown; partCheck: PartCheck }): void {
		const reason = partCheck(path, value);
		if (reason !== null) throw new Violation(reason);
		// What an object or a list holds has been sent.
		if (typeof value === 'object' && value !== null && Object.keys(value).length > 0) return;
		this.#parts.push({ path: path.map(encoded).join(''), value });
	}

	/** Ends the request, and with it the call to the upstream. */
	#refuse(reason: string): void {
		const { trace } = this.#context;
		trace.guard_verdicts = [...trace.guard_verdicts, { guard: 'schema', verdict: 'fail', reason }];
		const message = `The answer failed the guard "schema" while it was made: ${reason}.`;
		this.#context.cancel(new PlimsollError('guard_rejected', message));
	}

	#write(event: unknown): void | Promise<void> {
		return this.#outlet.write(eventOf(event));
	}
}

/** A value that its sub-schema refuses. */
class Violation extends Error {
	override readonly name = 'Violation';
}

function encoded(key: string | number): string {
	return `/${String(key).replaceAll('~', '~0').replaceAll('/', '~1')}`;
}

function eventOf(event: unknown): string {
	return `data: ${JSON.stringify(event)}\n\n`;
}
