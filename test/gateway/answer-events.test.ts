import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ChatStream } from '../../src/gateway/chat-stream.ts';
import type { AnswerEvents } from '../../src/gateway/converse.ts';
import { MessagesStream } from '../../src/gateway/messages-stream.ts';
import type { Outlet } from '../../src/gateway/outlet.ts';
import { ResponsesStream } from '../../src/gateway/responses-stream.ts';
import type { Answer } from '../../src/runtime/request.ts';
import { PlimsollError } from '../../src/spec/errors.ts';

/** A piece of a stream: of the text, or of one of a few calls. */
type Piece = { readonly text: string } | { readonly call: number; readonly args: string };

const piece: fc.Arbitrary<Piece> = fc.oneof(
	fc.record({ text: fc.string({ minLength: 1, maxLength: 5 }) }),
	fc.record({ call: fc.integer({ min: 0, max: 3 }), args: fc.string({ maxLength: 5 }) }),
);
const pieces = fc.array(piece, { maxLength: 30 });

const ENVELOPE = { requestId: 'req_1', created: 1, model: 'm' };
const USAGE = { tokensIn: 3, tokensOut: 2, tokensCached: 1, tokensCacheWritten: 1, tokensReasoning: 0 };

/** What is written, event by event. */
class Paper implements Outlet {
	written = '';
	readonly events: { readonly type: string; readonly [member: string]: unknown }[] = [];
	header(): void {}
	get started(): boolean {
		return this.events.length > 0;
	}
	write(text: string): void {
		this.written += text;
		for (const [, name, data] of text.matchAll(/event: (.*)\ndata: (.*)\n\n/g)) {
			const event = JSON.parse(data ?? '');
			expect(event.type).toBe(name);
			this.events.push(event);
		}
	}
	end(text: string): void {
		this.write(text);
	}
	fail(text: string): void {
		this.write(text);
	}
}

function answerOf(sent: readonly Piece[]): Answer {
	return {
		text: textOf(sent),
		finishReason: 'stop',
		toolCalls: null,
		thoughts: [],
		usage: { ...USAGE, source: 'reported' },
		citations: [],
		confidence: null,
		upstream: 'u',
		model: 'm',
		raw: null,
		feature: null,
		release: null,
		degraded: null,
	};
}

function textOf(sent: readonly Piece[]): string {
	return sent.map((one) => ('text' in one ? one.text : '')).join('');
}

/** The arguments of each call, in the order in which the calls began. */
function callsOf(sent: readonly Piece[]): string[] {
	const calls = new Map<number, string>();
	for (const one of sent) if ('call' in one) calls.set(one.call, (calls.get(one.call) ?? '') + one.args);
	return [...calls.values()];
}

function send(stream: AnswerEvents, sent: readonly Piece[]): void {
	const named = new Set<number>();
	const rest = { finishReason: null, usage: null, served: null, confidence: null, raw: null };
	for (const one of sent) {
		if ('text' in one) stream.chunk({ text: one.text, ...rest });
		else {
			const first = named.has(one.call) ? {} : { id: `c${one.call}` };
			named.add(one.call);
			const call = { index: one.call, ...first, function: { name: 'f', arguments: one.args } };
			stream.chunk({ text: '', toolCalls: [call], ...rest });
		}
	}
}

const SURFACES = {
	messages: (paper: Outlet) => new MessagesStream(paper, ENVELOPE),
	responses: (paper: Outlet) => new ResponsesStream(paper, ENVELOPE, {}),
};

describe('any order of pieces', () => {
	it('becomes messages whose blocks follow each other and hold all that was said', () => {
		fc.assert(
			fc.property(pieces, (sent) => {
				const paper = new Paper();
				const stream = SURFACES.messages(paper);
				send(stream, sent);
				stream.end(answerOf(sent));
				let open = -1;
				let next = 0;
				let text = '';
				const calls: string[] = [];
				for (const { type, index, content_block: block, delta } of paper.events) {
					if (type === 'content_block_start') {
						expect([open, index]).toEqual([-1, next++]);
						open = index as number;
						if ((block as { type: string }).type === 'tool_use') calls.push('');
					}
					if (type === 'content_block_stop') {
						expect(index).toBe(open);
						open = -1;
					}
					if (type !== 'content_block_delta') continue;
					expect(index).toBe(open);
					const said = delta as { text?: string; partial_json?: string };
					text += said.text ?? '';
					if (said.partial_json !== undefined) calls[calls.length - 1] += said.partial_json;
				}
				expect({ open, text, calls }).toEqual({ open: -1, text: textOf(sent), calls: callsOf(sent) });
				expect(paper.events[0]?.type).toBe('message_start');
				expect(paper.events.slice(-2).map(({ type }) => type)).toEqual(['message_delta', 'message_stop']);
			}),
		);
	});

	it('becomes a response whose last event holds what its deltas said', () => {
		fc.assert(
			fc.property(pieces, (sent) => {
				const paper = new Paper();
				const stream = SURFACES.responses(paper);
				send(stream, sent);
				stream.end(answerOf(sent));
				const said = new Map<unknown, string>();
				for (const { type, item_id: id, delta } of paper.events) {
					if (type.endsWith('.delta')) said.set(id, (said.get(id) ?? '') + String(delta));
				}
				const { response } = paper.events.at(-1) as unknown as {
					response: { output: { id: string; type: string; arguments?: string; content?: { text: string }[] }[] };
				};
				const whole = response.output.map((item) => [item.id, item.arguments ?? item.content?.[0]?.text]);
				expect(whole.filter(([, text]) => text !== '')).toEqual(
					whole.flatMap(([id]) => (said.has(id) && said.get(id) !== '' ? [[id, said.get(id)]] : [])),
				);
				const calls = response.output.filter(({ type }) => type === 'function_call');
				expect(calls.map((item) => item.arguments)).toEqual(callsOf(sent));
				expect(paper.events.map((event) => event.sequence_number)).toEqual(paper.events.map((_, at) => at));
				expect(paper.events.at(-1)?.type).toBe('response.completed');
			}),
		);
	});

	it.each(['messages', 'responses'] as const)('that breaks off leaves nothing of %s that looks whole', (surface) => {
		fc.assert(
			fc.property(pieces, (sent) => {
				const paper = new Paper();
				const stream = SURFACES[surface](paper);
				send(stream, sent);
				stream.fail(new PlimsollError('upstream_stream_cut', 'cut'));
				const types = paper.events.map(({ type }) => type);
				expect(types.at(-1)).toBe('error');
				expect(types).not.toContain('message_stop');
				expect(types.filter((type) => /completed|incomplete|\.done$|message_delta/.test(type))).toEqual([]);
			}),
		);
	});

	it.each(['messages', 'responses'] as const)('is bounded in what %s keep of it', (surface) => {
		const stream = SURFACES[surface](new Paper());
		const flood = () => {
			send(stream, [{ call: 0, args: 'a' }]);
			for (let at = 0; at < 5; at++) send(stream, [{ call: 1, args: 'x'.repeat(1_000_000) }]);
		};
		expect(flood).toThrow(/passed 4000000 characters/);
	});
});

it('whole calls are numbered in their order, whatever numbers their endpoint gave them', () => {
	const paper = new Paper();
	const stream = new ChatStream(paper, ENVELOPE, { includeUsage: false, relays: false });
	const toolCalls = ['a', 'b'].map((id) => ({ index: 0, id, function: { name: 'f', arguments: '{}' } }));
	stream.end({ ...answerOf([]), toolCalls });
	const [, first] = /^data: (.*)$/m.exec(paper.written) ?? [];
	expect(JSON.parse(first ?? '').choices[0].delta.tool_calls).toMatchObject([
		{ index: 0, id: 'a' },
		{ index: 1, id: 'b' },
	]);
});
