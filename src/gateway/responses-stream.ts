import { functionCall } from '../base/function-call.ts';
import type { CallProof } from '../base/thought.ts';
import type { Answer } from '../runtime/request.ts';
import { PlimsollError } from '../spec/errors.ts';
import type { CompletionChunk, Thought, ThoughtPiece } from '../spec/model.ts';
import type { Envelope } from './chat-response.ts';
import type { AnswerEvents } from './converse.ts';
import type { Outlet } from './outlet.ts';
import type { Echo } from './responses-body.ts';
import {
	begunResponse,
	type CallItem,
	callItem,
	callItemId,
	callProofItem,
	endedResponse,
	ending,
	failedResponse,
	messageItem,
	outputText,
	thoughtItem,
	thoughtItemId,
} from './responses-response.ts';

/** The arguments of all calls may grow to so many characters: no model calls tools at such length. */
const ARGUMENT_CHARS_MAX = 4_000_000;

/** An item of the output, at its place in the list. */
type Item =
	| { readonly kind: 'message' }
	| { readonly kind: 'proof'; readonly proof: CallProof }
	| { readonly kind: 'thought'; readonly id: string; text: string; proof: Thought['proof'] }
	| { readonly kind: 'call'; readonly index: number; readonly call: Omit<CallItem, 'arguments'>; args: string };

/**
 * Writes an answer as the events of OpenAI's Responses API. Items grow side by side, and each is done when the whole answer
 * is: what breaks off before leaves none behind that looks finished.
 */
export class ResponsesStream implements AnswerEvents {
	readonly #outlet: Outlet;
	readonly #envelope: Envelope;
	readonly #echo: Echo;
	readonly #items: Item[] = [];
	#events = 0;
	#argumentChars = 0;

	constructor(outlet: Outlet, envelope: Envelope, echo: Echo) {
		this.#outlet = outlet;
		this.#envelope = envelope;
		this.#echo = echo;
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
		if (this.#items.every(({ kind }) => kind === 'thought')) this.#message();
		const { status } = ending(answer.finishReason);
		const output = this.#items.map((item, at) => {
			const done = this.#done(item, { answer, status, at });
			this.#write('response.output_item.done', { output_index: at, item: done });
			return done;
		});
		const response = endedResponse(this.#envelope, this.#echo, { answer, output });
		this.#outlet.end(this.#event(`response.${status}`, { response }));
	}

	/** The official client throws for `error` alone, and others look for `response.failed`; nothing follows them. */
	fail(error: PlimsollError): void {
		const { code, message, param } = error;
		const failed = this.#event('response.failed', { response: failedResponse(this.#envelope, this.#echo, error) });
		this.#outlet.fail(failed + this.#event('error', { code, message, param }));
	}

	#said(delta: string): void | Promise<void> {
		const known = this.#items.findIndex(({ kind }) => kind === 'message');
		const at = known === -1 ? this.#message() : known;
		return this.#write('response.output_text.delta', { ...this.#part(at), delta, logprobs: [] });
	}

	#done(item: Item, { answer, status, at }: { answer: Answer; status: 'completed' | 'incomplete'; at: number }) {
		if (item.kind === 'message') return this.#spoken(answer.text, status, at);
		if (item.kind === 'proof') return callProofItem(this.#envelope.requestId, item.proof);
		return item.kind === 'call' ? this.#complete(item, status, at) : this.#thoughtDone(item, at);
	}

	#thought({ begins, text, proof }: ThoughtPiece): void | Promise<void> {
		const last = this.#items.at(-1);
		const item = last?.kind === 'thought' && !begins ? last : this.#newThought();
		item.proof = proof ?? item.proof;
		if (text === '') return;
		const place = { ...this.#summaryPart(item), delta: text };
		if (item.text === '') {
			const part = { ...this.#summaryPart(item), part: { type: 'summary_text', text: '' } };
			this.#write('response.reasoning_summary_part.added', part);
		}
		item.text += text;
		return this.#write('response.reasoning_summary_text.delta', place);
	}

	#newThought(): Extract<Item, { kind: 'thought' }> {
		this.#start();
		const ordinal = this.#items.filter(({ kind }) => kind === 'thought').length;
		const id = thoughtItemId(this.#envelope.requestId, ordinal);
		const item: Item = { kind: 'thought', id, text: '', proof: null };
		const at = this.#items.push(item) - 1;
		const shown = thoughtItem(id, { text: '', proof: null });
		this.#write('response.output_item.added', { output_index: at, item: shown });
		return item;
	}

	#summaryPart(item: Extract<Item, { kind: 'thought' }>) {
		return { item_id: item.id, output_index: this.#items.indexOf(item), summary_index: 0 };
	}

	#thoughtDone(item: Extract<Item, { kind: 'thought' }>, at: number) {
		const { id, text, proof } = item;
		if (text !== '') {
			const place = { item_id: id, output_index: at, summary_index: 0 };
			this.#write('response.reasoning_summary_text.done', { ...place, text });
			this.#write('response.reasoning_summary_part.done', { ...place, part: { type: 'summary_text', text } });
		}
		return thoughtItem(id, { text, proof });
	}

	/** Begins the message, and says where it stands. */
	#message(): number {
		this.#start();
		const at = this.#items.push({ kind: 'message' }) - 1;
		const item = messageItem(this.#envelope.requestId, '', 'in_progress');
		this.#write('response.output_item.added', { output_index: at, item });
		this.#write('response.content_part.added', { ...this.#part(at), part: outputText('') });
		return at;
	}

	#called(piece: unknown, ordinal = 0): void | Promise<void> {
		const { index: said, id, name, args, extra } = functionCall(piece);
		const index = said ?? ordinal;
		const known = this.#items.findLastIndex((item) => item.kind === 'call' && item.index === index);
		const last = this.#items[known];
		// Another id under a number that was given already is another call.
		const isKnown = last?.kind === 'call' && (id === '' || last.call.call_id === id);
		if (extra !== null) this.#prove(id || (last?.kind === 'call' ? last.call.call_id : ''), extra);
		const at = isKnown ? known : this.#call({ index, call_id: id, name });
		const item = this.#items[at];
		if (args === '' || item?.kind !== 'call') return;
		this.#argumentChars += args.length;
		if (this.#argumentChars > ARGUMENT_CHARS_MAX) {
			throw new PlimsollError('upstream_nonsense', `Calls of tools passed ${ARGUMENT_CHARS_MAX} characters.`);
		}
		item.args += args;
		const place = { item_id: item.call.id, output_index: at };
		return this.#write('response.function_call_arguments.delta', { ...place, delta: args });
	}

	/** Packages say it with the beginning of a call and with its end. */
	#prove(id: string, extra: CallProof['extra']): void {
		if (this.#items.some((item) => item.kind === 'proof' && item.proof.id === id)) return;
		this.#start();
		const proof = { id, extra, by: this.#envelope.model };
		const at = this.#items.push({ kind: 'proof', proof }) - 1;
		const item = callProofItem(this.#envelope.requestId, proof);
		this.#write('response.output_item.added', { output_index: at, item });
	}

	#call({ index, ...named }: { index: number; call_id: string; name: string }): number {
		this.#start();
		const ordinal = this.#items.filter(({ kind }) => kind === 'call').length;
		const call = { id: callItemId(this.#envelope.requestId, ordinal), ...named };
		const at = this.#items.push({ kind: 'call', index, call, args: '' }) - 1;
		const item = callItem({ ...call, arguments: '' }, 'in_progress');
		this.#write('response.output_item.added', { output_index: at, item });
		return at;
	}

	#spoken(text: string, status: 'completed' | 'incomplete', at: number) {
		this.#write('response.output_text.done', { ...this.#part(at), text, logprobs: [] });
		this.#write('response.content_part.done', { ...this.#part(at), part: outputText(text) });
		return messageItem(this.#envelope.requestId, text, status);
	}

	#complete({ call, args }: Extract<Item, { kind: 'call' }>, status: 'completed' | 'incomplete', at: number) {
		const place = { item_id: call.id, output_index: at };
		this.#write('response.function_call_arguments.done', { ...place, name: call.name, arguments: args });
		return callItem({ ...call, arguments: args }, status);
	}

	#part(at: number) {
		return { item_id: `msg_${this.#envelope.requestId}`, output_index: at, content_index: 0 };
	}

	#start(): void {
		if (this.#events > 0) return;
		const response = begunResponse(this.#envelope, this.#echo);
		this.#write('response.created', { response });
		this.#write('response.in_progress', { response });
	}

	#write(type: string, members: object): void | Promise<void> {
		return this.#outlet.write(this.#event(type, members));
	}

	#event(type: string, members: object): string {
		return `event: ${type}\ndata: ${JSON.stringify({ type, sequence_number: this.#events++, ...members })}\n\n`;
	}
}
