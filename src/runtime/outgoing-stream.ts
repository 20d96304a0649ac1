import type { CompletionChunk } from '../spec/model.ts';
import type { GuardVerdict } from '../spec/trace.ts';
import type { AnswerSink } from './request.ts';
import { Seam } from './seam.ts';

/** What a held stream is looked at by, and how much of it at once. */
export interface Watch {
	/** As many characters are kept back until what follows them is known. */
	readonly windowChars: number;
	/** Why no answer that begins so can pass; null: nothing is wrong yet. */
	readonly judge: (beginning: string) => GuardVerdict | null;
}

const TOLD_NOTHING = { passesThoughts: false };

/** Of a long answer more is held before it is looked at again, so that all looks together cost as a few of the whole. */
const LOOK_SHARE = 1 / 16;

/**
 * The stream of one answer on its way to the client, whichever upstreams it comes from. Knows what the client has got, so
 * that another upstream can go on from there, and keeps back what has not been looked at yet.
 */
export class OutgoingStream implements AnswerSink {
	/** The text that the client has got. */
	sent = '';
	/** Why nothing more is sent. */
	failed: GuardVerdict | null = null;
	readonly #client: AnswerSink;
	readonly #watch: Watch | null;
	readonly #passesThoughts: boolean;
	/** The seam to what another upstream had said; null: there is none. */
	#seam: Seam | null = null;
	#held = '';
	#last: CompletionChunk | null = null;

	/**
	 * @param watch null: everything is sent as it comes.
	 * @param options.passesThoughts the client is told what the model thinks, too; nobody looks at that.
	 */
	constructor(client: AnswerSink, watch: Watch | null, options: { readonly passesThoughts: boolean } = TOLD_NOTHING) {
		this.#client = client;
		this.#watch = watch;
		this.#passesThoughts = options.passesThoughts;
	}

	/** Whether the client has got any of it: then nothing may begin anew. */
	get started(): boolean {
		return this.sent !== '';
	}

	/** The whole of it, sent or held. */
	get text(): string {
		return this.sent + this.#held;
	}

	/** Before an attempt: what was held of another one is forgotten, what was sent is gone on from. */
	begin(): void {
		this.#held = '';
		this.#last = null;
		this.failed = null;
		this.#seam = this.sent === '' ? null : new Seam(this.sent);
	}

	/** Resolves when the client has room for more. */
	chunk(chunk: CompletionChunk): void | Promise<void> {
		if (this.failed !== null) return;
		const text = this.#joined(chunk);
		if (this.#watch === null) {
			this.sent += text;
			const { thought, ...spoken } = chunk;
			const told = thought === undefined || this.#passesThoughts ? chunk : spoken;
			return this.#client.chunk(text === chunk.text ? told : { ...told, text, raw: null });
		}
		this.#held += text;
		if (chunk.finishReason !== null) this.#last = chunk;
		if (this.#held.length < Math.max(2 * this.#watch.windowChars, this.sent.length * LOOK_SHARE)) return;
		return this.#look(this.#watch);
	}

	/** Sends what is still held, after the whole has passed. */
	release(): void | Promise<void> {
		const last = this.#last;
		if (last === null) return;
		const text = this.#held;
		this.#held = '';
		this.#last = null;
		this.sent += text;
		return this.#client.chunk({ ...last, text, raw: null });
	}

	/** All but the end is sent: there something may begin that is wrong only with what follows. */
	#look({ windowChars, judge }: Watch): void | Promise<void> {
		this.failed = judge(this.text);
		if (this.failed !== null) return;
		const end = wholeCharacters(this.#held, this.#held.length - windowChars);
		const text = this.#held.slice(0, end);
		this.#held = this.#held.slice(end);
		this.sent += text;
		return this.#client.chunk({
			text,
			finishReason: null,
			usage: null,
			served: null,
			confidence: null,
			raw: null,
		});
	}

	#joined({ text, finishReason }: CompletionChunk): string {
		if (this.#seam === null) return text;
		const joined = this.#seam.join(text, finishReason !== null);
		if (this.#seam.closed) this.#seam = null;
		return joined;
	}
}

/** A sink as a feature's stream; null: it is none. */
export function outgoingOf(sink: AnswerSink | null): OutgoingStream | null {
	return sink instanceof OutgoingStream ? sink : null;
}

/** Where a text can be cut near `at` without halving a character. */
function wholeCharacters(text: string, at: number): number {
	const code = text.charCodeAt(at - 1);
	return code >= 0xd800 && code <= 0xdbff ? at - 1 : at;
}
