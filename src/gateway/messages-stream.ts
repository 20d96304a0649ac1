import { functionCall } from '../base/function-call.ts';
import { type CallProof, hiddenData, signatureOf } from '../base/thought.ts';
import type { Answer } from '../runtime/request.ts';
import { PlimsollError } from '../spec/errors.ts';
import type { CompletionChunk, ThoughtPiece } from '../spec/model.ts';
import { type Envelope, extras } from './chat-response.ts';
import type { AnswerEvents } from './converse.ts';
import { anthropicErrorBody } from './error-response.ts';
import { callProofBlock, messageHead, messageUsage, stopReason, thinkingBlock } from './messages-response.ts';
import type { Outlet } from './outlet.ts';

/** What waits for its turn may grow to so many characters: no model calls tools at such length. */
const WAITING_CHARS_MAX = 4_000_000;

interface Block {
	/** Null: text, or a thought. */
	readonly call: { readonly index: number; readonly id: string; readonly name: string } | null;
	/** How it begins. */
	readonly shown: object;
	readonly isThought: boolean;
	/** Pieces that wait until the blocks before it are over. */
	waiting: object[];
}

const EMPTY_TEXT = { type: 'text', text: '' };
const EMPTY_THOUGHT = { type: 'thinking', thinking: '', signature: '' };

const NOTHING_YET = {
	input_tokens: 0,
	cache_creation_input_tokens: 0,
	cache_read_input_tokens: 0,
	output_tokens: 0,
};

/**
 * Writes an answer as the events of Anthropic's Messages API. Its blocks follow each other, and OpenAI's tool calls may
 * interleave: a call is written while it comes, and those that begin after it when it is over, which only the end tells.
 * The usage is known at the end and stands in `message_delta`.
 */
export class MessagesStream implements AnswerEvents {
	readonly #outlet: Outlet;
	readonly #envelope: Envelope;
	/** The first is being written; the others wait. */
	readonly #blocks: Block[] = [];
	/** Blocks that are over. */
	#over = 0;
	#isOpen = false;
	#hasStarted = false;
	#waitingChars = 0;
	/** Calls whose proofs were told, by their ids. */
	readonly #proven = new Set<string>();

	constructor(outlet: Outlet, envelope: Envelope) {
		this.#outlet = outlet;
		this.#envelope = envelope;
	}

	/** Resolves when the client has room for more. */
	chunk({ text, toolCalls, thought }: CompletionChunk): void | Promise<void> {
		let room = thought && this.#thought(thought);
		room = text === '' ? room : this.#said(text);
		for (const call of toolCalls ?? []) room = this.#called(call) ?? room;
		return room;
	}

	end(answer: Answer): void {
		// A feature hands its calls over when all is guarded.
		for (const [index, call] of (answer.toolCalls ?? []).entries()) this.#called(call, index);
		this.#start();
		while (this.#blocks.length > 0) this.#next();
		this.#write('message_delta', {
			delta: { stop_reason: stopReason(answer.finishReason), stop_sequence: null },
			usage: messageUsage(answer.usage),
			plimsoll: extras(this.#envelope, answer),
		});
		this.#outlet.end(eventOf('message_stop', {}));
	}

	/** An error and no `message_stop`, so that no client takes the part for the whole. */
	fail(error: PlimsollError): void {
		this.#outlet.fail(eventOf('error', anthropicErrorBody(error, this.#envelope.requestId)));
	}

	#said(text: string): void | Promise<void> {
		const last = this.#blocks.at(-1);
		const isText = last?.call === null && !last.isThought;
		const block = isText ? last : this.#add({ call: null, shown: EMPTY_TEXT, isThought: false, waiting: [] });
		return this.#append(block, { type: 'text_delta', text }, text.length);
	}

	/** A hidden thought is all in its beginning. */
	#thought({ begins, text, proof }: ThoughtPiece): void | Promise<void> {
		const last = this.#blocks.at(-1);
		const isHidden = hiddenData({ proof }) !== null;
		const shown = isHidden ? thinkingBlock({ text, proof }) : EMPTY_THOUGHT;
		const block = last?.isThought && !begins ? last : this.#add({ call: null, shown, isThought: true, waiting: [] });
		if (isHidden) return;
		const signature = signatureOf(proof);
		const room = text === '' ? undefined : this.#append(block, { type: 'thinking_delta', thinking: text }, text.length);
		return signature === null ? room : this.#append(block, { type: 'signature_delta', signature }, signature.length);
	}

	#called(piece: unknown, at = 0): void | Promise<void> {
		const { index: said, id, name, args, extra } = functionCall(piece);
		const index = said ?? at;
		const last = this.#blocks.findLast(({ call }) => call?.index === index);
		// Another id under a number that was given already is another call.
		const known = id === '' || last?.call?.id === id ? last : undefined;
		if (extra !== null) this.#prove({ id: id || (last?.call?.id ?? ''), extra, by: this.#envelope.model });
		const shown = { type: 'tool_use', id, name, input: {} };
		const block = known ?? this.#add({ call: { index, id, name }, shown, isThought: false, waiting: [] });
		return args === '' ? undefined : this.#append(block, { type: 'input_json_delta', partial_json: args }, args.length);
	}

	/** Packages say it with the beginning of a call and with its end. */
	#prove(proof: CallProof): void {
		if (this.#proven.has(proof.id)) return;
		this.#proven.add(proof.id);
		this.#add({ call: null, shown: callProofBlock(proof), isThought: true, waiting: [] });
	}

	#add(block: Block): Block {
		this.#start();
		this.#blocks.push(block);
		// Text is over when something else begins; a call may go on.
		while (this.#blocks.length > 1 && this.#blocks[0]?.call === null) this.#next();
		if (this.#blocks[0] === block) this.#open(block);
		return block;
	}

	#append(block: Block, delta: object, chars: number): void | Promise<void> {
		if (this.#blocks[0] === block) return this.#piece(delta);
		this.#waitingChars += chars;
		if (this.#waitingChars > WAITING_CHARS_MAX) {
			throw new PlimsollError('upstream_nonsense', `Calls of tools passed ${WAITING_CHARS_MAX} characters.`);
		}
		block.waiting.push(delta);
	}

	/** Ends the first block, and begins the next. */
	#next(): void {
		this.#write('content_block_stop', { index: this.#over++ });
		this.#isOpen = false;
		this.#blocks.shift();
		const [next] = this.#blocks;
		if (next) this.#open(next);
	}

	#open(block: Block): void {
		if (this.#isOpen) return;
		this.#isOpen = true;
		this.#write('content_block_start', { index: this.#over, content_block: block.shown });
		for (const delta of block.waiting.splice(0)) this.#piece(delta);
	}

	#piece(delta: object): void | Promise<void> {
		return this.#write('content_block_delta', { index: this.#over, delta });
	}

	#start(): void {
		if (this.#hasStarted) return;
		this.#hasStarted = true;
		const message = { ...messageHead(this.#envelope, this.#envelope.model), content: [] };
		this.#write('message_start', {
			message: { ...message, stop_reason: null, stop_sequence: null, usage: NOTHING_YET },
		});
		this.#write('ping', {});
	}

	#write(type: string, members: object): void | Promise<void> {
		return this.#outlet.write(eventOf(type, members));
	}
}

function eventOf(type: string, members: object): string {
	return `event: ${type}\ndata: ${JSON.stringify({ type, ...members })}\n\n`;
}
