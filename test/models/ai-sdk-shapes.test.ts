import type { LanguageModelV4StreamPart } from '@ai-sdk/provider';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { completionOf, ToolCallDeltas, usageOf } from '../../src/models/ai-sdk/answer.ts';
import { callOptionsOf, type ParameterRules } from '../../src/models/ai-sdk/call-options.ts';
import { promptOf } from '../../src/models/ai-sdk/prompt.ts';
import type { ChatMessage } from '../../src/spec/model.ts';

const text = fc.string({ minLength: 1, maxLength: 40 });
const args = fc.dictionary(fc.string({ maxLength: 8 }), fc.jsonValue({ maxDepth: 2 }), {
	maxKeys: 4,
	noNullPrototype: true,
});
const call = fc.record({ id: fc.uuid(), name: fc.stringMatching(/^[a-z_]{1,12}$/), args });
const data = fc.base64String({ minLength: 4, maxLength: 40 });

type Piece =
	| ['text', string]
	| ['image', string]
	| ['call', string, string, unknown]
	| ['result', string, string, string];

/** A turn as OpenAI has it, with what it says in order. */
const turn: fc.Arbitrary<{ messages: ChatMessage[]; says: Piece[] }> = fc.oneof(
	fc.record({ role: fc.constantFrom('system', 'developer', 'user', 'assistant'), content: text }).map((message) => ({
		messages: [message],
		says: [['text', message.content] as Piece],
	})),
	fc
		.array(
			fc.oneof(
				text.map((one) => ({ text: one })),
				data.map((one) => ({ image: one })),
			),
			{ minLength: 1, maxLength: 4 },
		)
		.map((parts) => ({
			messages: [
				{
					role: 'user',
					content: parts.map((part) =>
						'text' in part
							? { type: 'text', text: part.text }
							: { type: 'image_url', image_url: { url: `data:image/png;base64,${part.image}` } },
					),
				},
			],
			says: parts.map((part): Piece => ('text' in part ? ['text', part.text] : ['image', part.image])),
		})),
	fc
		.tuple(fc.option(text), fc.uniqueArray(call, { minLength: 1, maxLength: 3, selector: ({ id }) => id }), text)
		.map(([said, calls, result]) => ({
			messages: [
				{
					role: 'assistant',
					content: said,
					tool_calls: calls.map(({ id, name, args }) => ({
						id,
						type: 'function',
						function: { name, arguments: JSON.stringify(args) },
					})),
				},
				...calls.map(({ id }) => ({ role: 'tool', tool_call_id: id, content: `${result} ${id}` })),
			],
			says: [
				...(said === null ? [] : [['text', said] as Piece]),
				...calls.map(({ id, name, args }): Piece => ['call', id, name, JSON.parse(JSON.stringify(args))]),
				...calls.map(({ id, name }): Piece => ['result', id, name, `${result} ${id}`]),
			],
		})),
);

const NOBODY = { takesUrl: () => false, namespaces: [] };

describe('messages', () => {
	it('arrive whole and in their order, whatever a conversation holds', () => {
		fc.assert(
			fc.property(fc.array(turn, { minLength: 1, maxLength: 6 }), (turns) => {
				const prompt = promptOf(
					turns.flatMap(({ messages }) => messages),
					NOBODY,
				);
				const says = prompt.flatMap((message): Piece[] => {
					if (message.role === 'system') return [['text', message.content]];
					return (message.content as readonly { type: string }[]).map((part) => pieceOf(part));
				});
				expect(says).toEqual(turns.flatMap((one) => one.says));
			}),
		);
	});

	it('go back into the next turn as they came', () => {
		fc.assert(
			fc.property(text, fc.array(call, { maxLength: 3 }), (said, calls) => {
				const content = [
					{ type: 'text' as const, text: said },
					...calls.map(({ id, name, args }) => ({
						type: 'tool-call' as const,
						toolCallId: id,
						toolName: name,
						input: JSON.stringify(args),
						providerMetadata: { google: { thoughtSignature: id } },
					})),
				];
				const answer = completionOf({
					content,
					finishReason: { unified: 'stop', raw: 'stop' },
					usage: usage(1, 1),
					warnings: [],
				});
				const message = { role: 'assistant', content: answer.text, tool_calls: answer.toolCalls };
				const [back] = promptOf([message], NOBODY);
				expect(back?.content).toEqual(
					content.map((part) => {
						if (part.type === 'text') return part;
						const { providerMetadata, input, ...call } = part;
						return { ...call, input: JSON.parse(input), providerOptions: providerMetadata };
					}),
				);
			}),
		);
	});

	it.each([
		[{ role: 'user', content: [{ type: 'video_url' }] }, /messages\[0\]\.content\[0\]\.type/],
		[{ role: 'user', content: 'x', name: 'Ann' }, /messages\[0\]\.name/],
		[{ role: 'critic', content: 'x' }, /messages\[0\]\.role/],
		[{ role: 'tool', tool_call_id: 'nobody', content: 'x' }, /"nobody" answers no tool call/],
		[
			{ role: 'assistant', tool_calls: [{ id: 'a', function: { name: 'f', arguments: '{"ship":' } }] },
			/messages\[0\]\.tool_calls\[0\]\.function\.arguments is not JSON/,
		],
		[
			{ role: 'user', content: [{ type: 'image_url', image_url: { url: 'http://10.0.0.1/x.png' } }] },
			/must hold the image itself/,
		],
	])('that a provider cannot take are refused by the name of the field: %j', (message, why) => {
		expect(() => promptOf([message], NOBODY)).toThrow(why);
	});

	it('take an image by its address only where the provider fetches it', () => {
		const message = { role: 'user', content: [{ type: 'image_url', image_url: { url: 'https://x.test/ship.PNG' } }] };
		expect(
			promptOf([message], {
				takesUrl: (type, url) => type === 'image/png' && url.startsWith('https:'),
				namespaces: [],
			}),
		).toMatchObject([{ content: [{ type: 'file', mediaType: 'image/png', data: { type: 'url' } }] }]);
	});
});

function pieceOf(part: { type: string } & Record<string, unknown>): Piece {
	switch (part.type) {
		case 'text':
			return ['text', part.text as string];
		case 'file':
			return ['image', (part.data as { data: string }).data];
		case 'tool-call':
			return ['call', part.toolCallId as string, part.toolName as string, part.input];
		default:
			return ['result', part.toolCallId as string, part.toolName as string, (part.output as { value: string }).value];
	}
}

describe('streamed tool calls', () => {
	it('put together as OpenAI’s clients do are the calls that were made, however they were interleaved', () => {
		const calls = fc.uniqueArray(call, { minLength: 1, maxLength: 4, selector: ({ id }) => id });
		fc.assert(
			fc.property(calls, fc.array(fc.nat(), { minLength: 60, maxLength: 60 }), fc.boolean(), (made, order, pieces) => {
				const queues = made.map(({ id, name, args }): LanguageModelV4StreamPart[] => {
					const input = JSON.stringify(args);
					const whole = { type: 'tool-call', toolCallId: id, toolName: name, input } as const;
					if (!pieces) return [whole];
					const deltas = [...input.matchAll(/[\s\S]{1,7}/g)].map(
						([delta]) => ({ type: 'tool-input-delta', id, delta }) as const,
					);
					return [{ type: 'tool-input-start', id, toolName: name }, ...deltas, { type: 'tool-input-end', id }, whole];
				});
				const deltas = new ToolCallDeltas();
				const built: { id?: string; name?: string; arguments: string }[] = [];
				for (let turn = 0; queues.some((queue) => queue.length > 0); turn++) {
					const open = queues.filter((queue) => queue.length > 0);
					const part = open[(order[turn % order.length] ?? 0) % open.length]?.shift();
					const delta = part ? deltas.of(part) : null;
					if (delta === null) continue;
					built[delta.index] ??= { arguments: '' };
					const one = built[delta.index] as (typeof built)[number];
					if (delta.id !== undefined) Object.assign(one, { id: delta.id, name: delta.function.name });
					one.arguments += delta.function.arguments;
				}
				const byId = new Map(built.map((one) => [one.id, one]));
				expect(built).toHaveLength(made.length);
				for (const { id, name, args } of made) {
					expect(byId.get(id)).toMatchObject({ name });
					expect(JSON.parse(byId.get(id)?.arguments ?? '')).toEqual(JSON.parse(JSON.stringify(args)));
				}
			}),
		);
	});
});

function usage(total: number | undefined, out: number | undefined, cacheRead = 0, reasoning = 0) {
	return {
		inputTokens: { total, noCache: undefined, cacheRead, cacheWrite: undefined },
		outputTokens: { total: out, text: undefined, reasoning },
	};
}

describe('usage', () => {
	it('counts cached and reasoning tokens as parts', () => {
		expect(usageOf(usage(20, 17, 4, 5))).toEqual({
			tokensIn: 20,
			tokensOut: 17,
			tokensCached: 4,
			tokensCacheWritten: 0,
			tokensReasoning: 5,
			source: 'reported',
		});
	});

	it.each([
		[undefined, 1, 0, 0],
		[1, undefined, 0, 0],
		[1, 1, 2, 0],
		[1, 1, 0, 2],
		[-1, 1, 0, 0],
	])('that is missing or contradicts itself is none: %j', (total, out, cached, reasoning) => {
		expect(usageOf(usage(total, out, cached, reasoning))).toBeNull();
	});
});

describe('parameters', () => {
	const rules: ParameterRules = {
		namespaces: ['anthropic', 'mine'],
		refused: ['seed'],
		jsonObject: false,
		oneToolCallAtATime: { disableParallelToolUse: true },
	};

	it('are mapped', () => {
		const parameters = {
			max_completion_tokens: 10,
			temperature: 0.5,
			top_p: 0.9,
			stop: 'END',
			reasoning_effort: 'low',
			tool_choice: { type: 'function', function: { name: 'f' } },
			tools: [{ type: 'function', function: { name: 'f', strict: true } }],
			parallel_tool_calls: false,
		};
		expect(callOptionsOf(parameters, rules, {})).toEqual({
			maxOutputTokens: 10,
			temperature: 0.5,
			topP: 0.9,
			stopSequences: ['END'],
			reasoning: 'low',
			toolChoice: { type: 'tool', toolName: 'f' },
			tools: [{ type: 'function', name: 'f', inputSchema: { type: 'object', properties: {} }, strict: true }],
			providerOptions: { anthropic: { disableParallelToolUse: true } },
		});
	});

	it('that ask for nothing are nothing', () => {
		expect(callOptionsOf({ n: 1, logprobs: false, seed: null, user: 'ann', tool_choice: 'auto' }, rules, {})).toEqual(
			{},
		);
	});

	it.each([
		[{ seed: 7 }, /^seed /],
		[{ n: 2 }, /^n /],
		[{ logit_bias: {} }, /^logit_bias /],
		[{ temperature: 'hot' }, /^temperature must be a number/],
		[{ response_format: { type: 'json_object' } }, /^response_format must be a json_schema/],
		[{ response_format: { type: 'grammar' } }, /^response_format /],
		[{ tools: [{ type: 'web_search' }] }, /^tools\[0\] /],
		[{ tool_choice: 'sometimes' }, /^tool_choice /],
		[{ reasoning_effort: 'huge' }, /^reasoning_effort /],
		[{ provider_options: 'x' }, /^provider_options /],
		[{ provider_options: { mine: 3 } }, /^provider_options\.mine /],
		[{ stop: [1] }, /^stop /],
	])('that a provider does not have are refused by name: %j', (parameters, why) => {
		expect(() => callOptionsOf(parameters, rules, {})).toThrow(why);
	});

	it('of a vendor’s own go through under its name, those of others do not', () => {
		const options = { mine: { thinking: 1 }, anthropic: { thinking: 2, effort: 'low' }, google: { thinking: 3 } };
		expect(callOptionsOf({ provider_options: options }, rules, { thinking: 0, container: 'c' })).toEqual({
			providerOptions: { anthropic: { thinking: 2, effort: 'low', container: 'c' } },
		});
	});
});
