import type { Answer, AnswerSink, ChatRequest } from '../runtime/request.ts';
import { asPlimsollError, type PlimsollError } from '../spec/errors.ts';
import type { TracedExchange } from './route.ts';

/** How a surface writes a stream. */
export interface AnswerEvents extends AnswerSink {
	/** The whole answer is known: what it ends with. */
	end(answer: Answer): void;
	/** The stream broke after a part of it was sent: nothing that could pass for its end. */
	fail(error: PlimsollError): void;
}

/** How a surface writes an answer. */
interface Surface {
	/** Null: the answer is sent whole. */
	readonly events: AnswerEvents | null;
	/** The body of a whole answer: JSON as text, or a value. */
	readonly whole: (answer: Answer) => unknown;
}

/** Answers a request of any surface through the one pipeline, whole or as a stream. */
export async function converse(
	exchange: TracedExchange,
	ask: Omit<ChatRequest, 'sink'>,
	{ events, whole }: Surface,
): Promise<unknown> {
	const { parts, context, outlet } = exchange;
	const ignored = ask.translation?.ignored ?? [];
	if (ignored.length > 0) outlet.header('x-plimsoll-ignored', ignored.join(', '));
	if (events === null) {
		const answer = await parts.runtime.chat(context, { ...ask, sink: null });
		noteAnswer(exchange, answer);
		return whole(answer);
	}
	try {
		events.end(await parts.runtime.chat(context, { ...ask, sink: events }));
	} catch (thrown) {
		if (!outlet.started) throw thrown;
		const error = asPlimsollError(thrown);
		exchange.failed(error);
		events.fail(error);
	}
	return undefined;
}

/** Headers that say how the answer came to be, for clients that never look into the body's extras. */
function noteAnswer({ outlet }: Pick<TracedExchange, 'outlet'>, answer: Answer): void {
	if (answer.upstream !== null) outlet.header('x-plimsoll-upstream', answer.upstream);
	if (answer.degraded !== null) outlet.header('x-plimsoll-degraded', answer.degraded);
}
