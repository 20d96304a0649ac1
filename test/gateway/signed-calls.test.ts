import Anthropic from '@anthropic-ai/sdk';
import OpenAI from 'openai';
import { describe, expect, it, onTestFinished } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import type { UpstreamConfig } from '../../src/contracts/project.ts';
import { createModel } from '../../src/models/create-model.ts';
import { FAMILIES } from '../support/family-fixture.ts';
import { startGateway } from '../support/gateway-fixture.ts';
import { KEY } from '../support/runtime-fixture.ts';
import { startUpstreamDouble } from '../support/upstream-double.ts';

const THINKING = 'A load line is painted on the hull.';
const MODEL = 'double/default';
const QUESTION = { role: 'user' as const, content: 'What may the Vasa carry?' };
const SCHEMA = { type: 'object' as const, properties: { ship: { type: 'string' } }, required: ['ship'] };
/** What proves, in the provider's own format, that a thought or a call is its own. */
const PROOFS = {
	google: Buffer.from('a double signs its thoughts').toString('base64'),
	vertex: Buffer.from('a double signs its thoughts').toString('base64'),
	anthropic: Buffer.from('a double thinks in the open').toString('base64'),
	bedrock: Buffer.from('a double thinks in the open').toString('base64'),
} as const;
const NAMES = Object.keys(PROOFS) as (keyof typeof PROOFS)[];
const MODES = ['plain', 'streamed'] as const;

async function start(name: keyof typeof PROOFS) {
	const double = await startUpstreamDouble({ record: true, plan: { thinking: THINKING, toolCalls: 2 } });
	const url = `http://127.0.0.1:${double.port}`;
	const model = createModel(FAMILIES[name]?.config(url) as UpstreamConfig, { clock: systemClock });
	const gateway = await startGateway({ model });
	onTestFinished(async () => {
		await gateway.close();
		await model.close();
		await double.close();
	});
	const openai = new OpenAI({ baseURL: `${gateway.url}/v1`, apiKey: KEY, maxRetries: 0 });
	const anthropic = new Anthropic({ baseURL: gateway.url, apiKey: KEY, maxRetries: 0 });
	return { double, openai, anthropic };
}

/** The turn of the model in the last request, as its provider got it: with all that it had said in one. */
function turnSent(double: { readonly bodies: readonly string[] }): string {
	const body = JSON.parse(double.bodies.at(-1) ?? '') as { messages?: Turn[]; contents?: Turn[] };
	const turns = (body.messages ?? body.contents ?? []).filter(({ role }) => role === 'assistant' || role === 'model');
	expect(turns).toHaveLength(1);
	return JSON.stringify(turns[0]);
}

interface Turn {
	readonly role: string;
}

/** Gemini takes a thought for its own by the signature of the call that it led to; the others by its own. */
function expectProof(sent: string, name: keyof typeof PROOFS): void {
	const signature = PROOFS[name];
	expect(sent).toContain(signature);
	if (name === 'google' || name === 'vertex') {
		const { parts } = JSON.parse(sent) as { parts: { functionCall?: object; thoughtSignature?: string }[] };
		const calls = parts.filter(({ functionCall }) => functionCall !== undefined);
		expect(calls.map(({ thoughtSignature }) => thoughtSignature)).toEqual([signature, undefined]);
	} else expect(sent).toContain(THINKING);
}

describe.each(NAMES)('a call of tools that %s proves', (name) => {
	describe.each(MODES)('%s', (mode) => {
		it('goes back over /v1/messages with its proof', async () => {
			const { anthropic, double } = await start(name);
			const tools = ['look_up', 'weigh'].map((tool) => ({ name: tool, input_schema: SCHEMA }));
			const ask = {
				...{ model: MODEL, max_tokens: 2000, tools },
				thinking: { type: 'enabled' as const, budget_tokens: 1024 },
			};
			const first = { ...ask, messages: [QUESTION] };
			const { content } =
				mode === 'plain'
					? await anthropic.messages.create(first)
					: await anthropic.messages.stream(first).finalMessage();
			const results = content.flatMap((block) =>
				block.type === 'tool_use' ? [{ type: 'tool_result' as const, tool_use_id: block.id, content: '1,210 t' }] : [],
			);
			expect(results).toHaveLength(2);
			await anthropic.messages.create({
				...ask,
				messages: [QUESTION, { role: 'assistant', content }, { role: 'user', content: results }],
			});
			expectProof(turnSent(double), name);
		});

		it('goes back over /v1/responses with its proof', async () => {
			const { openai, double } = await start(name);
			const tools = ['look_up', 'weigh'].map((tool) => ({
				...{ type: 'function' as const, name: tool, strict: false },
				parameters: SCHEMA,
			}));
			const ask = { model: MODEL, store: false, tools, reasoning: { effort: 'low' as const } };
			const first = { ...ask, input: [QUESTION] };
			const { output } =
				mode === 'plain' ? await openai.responses.create(first) : await openai.responses.stream(first).finalResponse();
			const results = output.flatMap((item) =>
				item.type === 'function_call'
					? [{ type: 'function_call_output' as const, call_id: item.call_id, output: '1,210 t' }]
					: [],
			);
			expect(results).toHaveLength(2);
			await openai.responses.create({
				...ask,
				input: [QUESTION, ...(output as OpenAI.Responses.ResponseInputItem[]), ...results],
			});
			expectProof(turnSent(double), name);
		});

		it('goes back over /v1/chat/completions with its proof', async () => {
			const { openai, double } = await start(name);
			const tools = ['look_up', 'weigh'].map((tool) => ({
				type: 'function' as const,
				function: { name: tool, parameters: SCHEMA },
			}));
			const ask = { model: MODEL, tools, reasoning_effort: 'low' as const };
			const first = { ...ask, messages: [QUESTION] };
			const message =
				mode === 'plain'
					? (await openai.chat.completions.create(first)).choices[0]?.message
					: await assembled(openai, first);
			const calls = message?.tool_calls ?? [];
			expect(calls).toHaveLength(2);
			const results = calls.map(({ id }) => ({ role: 'tool' as const, tool_call_id: id, content: '1,210 t' }));
			await openai.chat.completions.create({
				...ask,
				messages: [QUESTION, message as OpenAI.ChatCompletionMessageParam, ...results],
			});
			expectProof(turnSent(double), name);
		});
	});
});

it('a proof goes back only to the name that gave it out', async () => {
	const { anthropic, double } = await start('google');
	const ask = { max_tokens: 2000, tools: [{ name: 'look_up', input_schema: SCHEMA }] };
	const { content } = await anthropic.messages.create({ ...ask, model: MODEL, messages: [QUESTION] });
	const sealed = content.map((block) =>
		block.type === 'redacted_thinking' ? { ...block, data: resealed(block.data, 'another/model') } : block,
	);
	const results = content.flatMap((block) =>
		block.type === 'tool_use' ? [{ type: 'tool_result' as const, tool_use_id: block.id, content: '1' }] : [],
	);
	await anthropic.messages.create({
		...{ ...ask, model: MODEL },
		messages: [QUESTION, { role: 'assistant', content: sealed }, { role: 'user', content: results }],
	});
	expect(turnSent(double)).not.toContain(PROOFS.google);
});

function resealed(data: string, by: string): string {
	const [prefix, body] = data.split(':') as [string, string];
	const proof = JSON.parse(Buffer.from(body, 'base64url').toString());
	return `${prefix}:${Buffer.from(JSON.stringify({ call: { ...proof.call, by } })).toString('base64url')}`;
}

/** A message put together from its pieces, with the members that OpenAI's own clients do not know. */
async function assembled(openai: OpenAI, ask: OpenAI.ChatCompletionCreateParamsNonStreaming) {
	const calls: Record<string, unknown>[] = [];
	const details: unknown[] = [];
	for await (const { choices } of await openai.chat.completions.create({ ...ask, stream: true })) {
		const delta = (choices[0]?.delta ?? {}) as { tool_calls?: Delta[]; reasoning_details?: unknown[] };
		details.push(...(delta.reasoning_details ?? []));
		for (const { index, function: piece, ...rest } of delta.tool_calls ?? []) {
			const known = calls[index] ?? { function: { arguments: '' } };
			const inner = known.function as { name?: string; arguments: string };
			const grown = { ...inner, ...piece, arguments: inner.arguments + (piece?.arguments ?? '') };
			calls[index] = { ...known, ...rest, function: grown };
		}
	}
	return {
		role: 'assistant' as const,
		content: null,
		tool_calls: calls as unknown as OpenAI.ChatCompletionMessageToolCall[],
		reasoning_details: details,
	};
}

interface Delta {
	readonly index: number;
	readonly function?: { readonly name?: string; readonly arguments?: string };
}
