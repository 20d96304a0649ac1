import type { CompletionChunk } from '../spec/model.ts';

/** Of chunks that say nothing yet, so many are kept until one does. */
const SILENT_CHUNKS_MAX = 16;

/** One attempt of several at the same answer. */
export interface Lane {
	/** Aborts when another one leads. */
	readonly signal: AbortSignal;
	/** Another one leads, or nobody needs this any more. */
	readonly lost: boolean;
	/** True when this one is what the client gets; the others are cancelled at once. */
	lead(): boolean;
	/** The call is on its way. */
	sent(): void;
	/** Lets a stream through once it says something, if it is the first to. */
	gate(chunks: AsyncIterable<CompletionChunk>): AsyncIterable<CompletionChunk>;
}

/** Attempts that run beside each other, of which the first that has something for the client leads. */
export class Race {
	readonly #runners: Runner[] = [];
	#leader: Lane | null = null;

	/** @param onSent called when the call of this lane is on its way. */
	enter(onSent: () => void = () => {}): Lane {
		const runner = new Runner(this, onSent);
		this.#runners.push(runner);
		return runner;
	}

	get leader(): Lane | null {
		return this.#leader;
	}

	lead(lane: Lane): boolean {
		if (this.#leader === null && !lane.lost) {
			this.#leader = lane;
			for (const other of this.#runners) if (other !== lane) other.cancel();
		}
		return this.#leader === lane;
	}

	/** Nobody needs any of them. */
	cancel(): void {
		for (const runner of this.#runners) runner.cancel();
	}
}

class Runner implements Lane {
	lost = false;
	readonly #race: Race;
	readonly #controller = new AbortController();
	readonly sent: () => void;

	constructor(race: Race, onSent: () => void) {
		this.#race = race;
		this.sent = onSent;
	}

	get signal(): AbortSignal {
		return this.#controller.signal;
	}

	lead(): boolean {
		return this.#race.lead(this);
	}

	cancel(): void {
		if (this.lost) return;
		this.lost = true;
		this.#controller.abort(new Error('another attempt was first'));
	}

	async *gate(chunks: AsyncIterable<CompletionChunk>): AsyncIterable<CompletionChunk> {
		const silent: CompletionChunk[] = [];
		let leads = false;
		for await (const chunk of chunks) {
			if (!leads) {
				if (isSilent(chunk)) {
					if (silent.length < SILENT_CHUNKS_MAX) silent.push(chunk);
					continue;
				}
				leads = this.lead();
				if (!leads) throw this.signal.reason;
				yield* silent.splice(0);
			}
			yield chunk;
		}
	}
}

function isSilent({ text, toolCalls, thought, finishReason }: CompletionChunk): boolean {
	return text === '' && toolCalls === undefined && thought === undefined && finishReason === null;
}
