import { type CallProof, callProofOf } from '../base/thought.ts';
import type { ShownImage } from '../policy/images.ts';
import type { ChatRequest, Translation } from '../runtime/request.ts';
import { type ChatMessage, THOUGHTS, type Thought } from '../spec/model.ts';

/** A conversation as it is translated into OpenAI's chat messages, with where each came from. */
export class TranslatedChat {
	readonly #messages: ChatMessage[] = [];
	readonly #origins: string[] = [];
	readonly #hints = new Set<string>();
	readonly #thoughts: Thought[] = [];
	readonly #images: ShownImage[] = [];
	/** By the id of a call. */
	readonly #proofs = new Map<string, CallProof['extra']>();
	readonly #model: string;

	/** @param model whom the client asks. */
	constructor(model: string) {
		this.#model = model;
	}

	get last(): ChatMessage | undefined {
		return this.#messages.at(-1);
	}

	/** @param origin the field of the client's body, such as `messages[2]`. */
	add(message: ChatMessage, origin: string): void {
		const thoughts = message.role === 'assistant' ? this.#thoughts.splice(0) : [];
		this.#messages.push(thoughts.length > 0 ? { ...message, [THOUGHTS]: thoughts } : message);
		this.#origins.push(origin);
	}

	/** @param at where the client's body has it. */
	show(at: string, url: string): void {
		this.#images.push({ at, url });
	}

	/** Takes what came with a call of a tool, for who gave it out; false for a text that is none of ours. */
	prove(sealed: string): boolean {
		const proof = callProofOf(sealed);
		if (proof?.by === this.#model) this.#proofs.set(proof.id, proof.extra);
		return proof !== null;
	}

	/** Calls of a turn with what their provider wants back with them. */
	proven<C extends { readonly id?: unknown }>(calls: readonly C[]): C[] {
		return calls.map((call) => {
			const extra = this.#proofs.get(String(call.id));
			return extra === undefined ? call : { ...call, extra_content: extra };
		});
	}

	/** What the next turn of the assistant began with. */
	think(thought: Thought): void {
		this.#thoughts.push(thought);
	}

	replaceLast(message: ChatMessage): void {
		this.#messages[this.#messages.length - 1] = message;
	}

	/** What cannot change an answer, only its price or pace, and is not passed on: the response and the trace say so. */
	hint(name: string, value: unknown): void {
		if (value !== null) this.#hints.add(name);
	}

	/** @param ask.names by OpenAI's name of a parameter the client's, where they differ. */
	request(ask: {
		model: string;
		parameters: Readonly<Record<string, unknown>>;
		user: string | null;
		names: Translation['names'];
	}): Omit<ChatRequest, 'sink'> {
		const { model, parameters, user, names } = ask;
		const said = Object.entries(parameters).filter(([, value]) => value !== undefined && value !== null);
		return {
			model,
			messages: this.#messages,
			variables: {},
			...(this.#images.length > 0 && { images: this.#images }),
			parameters: Object.fromEntries(said),
			user,
			translation: { names, origins: this.#origins, ignored: [...this.#hints] },
		};
	}
}

/** Parts as a content: a lone text as the string that every provider takes, nothing as null. */
export function contentOf(parts: readonly Readonly<Record<string, unknown>>[]): unknown {
	const [first] = parts;
	if (first === undefined) return null;
	return parts.length === 1 && first.type === 'text' ? first.text : parts;
}
