import Anthropic from '@anthropic-ai/sdk';
import OpenAI from 'openai';
import { describe, expect, it, onTestFinished } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import type { UpstreamConfig } from '../../src/contracts/project.ts';
import { createModel } from '../../src/models/create-model.ts';
import { createOpenAiCompatibleModel } from '../../src/models/openai-compatible/model.ts';
import { FAMILIES } from '../support/family-fixture.ts';
import { startGateway, UPSTREAM } from '../support/gateway-fixture.ts';
import { feature, KEY } from '../support/runtime-fixture.ts';
import { startUpstreamDouble } from '../support/upstream-double.ts';

const THINKING = 'A load line is painted on the hull.';
const TEXT = 'It shows how much a ship may carry.';
const NAMES = ['openai-compatible', 'anthropic', 'google', 'bedrock', 'cohere'] as const;
type Name = (typeof NAMES)[number];
/** Whose thoughts go back with what proves them. */
const PROVEN: readonly Name[] = ['anthropic', 'bedrock'];

async function start(name: Name) {
	const double = await startUpstreamDouble({ record: true, plan: { thinking: THINKING, text: TEXT } });
	const url = `http://127.0.0.1:${double.port}`;
	const upstream = { ...UPSTREAM, name: 'double/default', provider: 'double' };
	const model =
		name === 'openai-compatible'
			? createOpenAiCompatibleModel({
					upstream,
					baseUrl: `${url}/v1`,
					apiKey: null,
					connectionsMax: 4,
					clock: systemClock,
				})
			: createModel(FAMILIES[name]?.config(url) as UpstreamConfig, { clock: systemClock });
	const features = () =>
		(['drop', 'pass'] as const).flatMap((thinking) =>
			(['immediate', 'buffered'] as const).map((stream) =>
				feature({ feature: `${thinking}-${stream}`, stream, models: { thinking } }, { route: [model] }),
			),
		);
	const gateway = await startGateway({ model, features });
	onTestFinished(async () => {
		await gateway.close();
		await model.close();
		await double.close();
	});
	const openai = new OpenAI({ baseURL: `${gateway.url}/v1`, apiKey: KEY, maxRetries: 0 });
	const anthropic = new Anthropic({ baseURL: gateway.url, apiKey: KEY, maxRetries: 0 });
	const sent = () => double.bodies.at(-1) ?? '';
	return { openai, anthropic, gateway, sent };
}

const QUESTION = { role: 'user' as const, content: 'What is a load line?' };
const ASK = { model: 'double/default', max_tokens: 2000, messages: [QUESTION] };

describe.each(NAMES)('what a model of %s thinks', (name) => {
	it('is told by /v1/messages, whole and streamed alike, and goes back to who proved it', async () => {
		const { anthropic, gateway, sent } = await start(name);
		const ask = { ...ASK, thinking: { type: 'enabled' as const, budget_tokens: 1024 } };
		const whole = await anthropic.messages.create(ask);
		const streamed = await anthropic.messages.stream(ask).finalMessage();
		for (const { content } of [whole, streamed]) {
			expect(content).toMatchObject([
				{ type: 'thinking', thinking: THINKING },
				{ type: 'text', text: TEXT },
			]);
		}
		expect(streamed.content[0]).toEqual(whole.content[0]);
		expect(gateway.traces.last).toMatchObject({ outcome: 'ok' });
		await anthropic.messages.create({
			...ask,
			messages: [QUESTION, { role: 'assistant', content: whole.content }, QUESTION],
		});
		expect(sent().includes(THINKING)).toBe(PROVEN.includes(name));
		expect(sent()).toContain(TEXT);
	});

	it('is told by /v1/responses as an item of reasoning, whole and streamed alike, and goes back', async () => {
		const { openai, sent } = await start(name);
		const ask = { model: ASK.model, input: 'What is a load line?', store: false } as const;
		const whole = await openai.responses.create({ ...ask, reasoning: { summary: 'auto' } });
		const reasoning = { type: 'reasoning', summary: [{ type: 'summary_text', text: THINKING }] };
		expect(whole.output).toMatchObject([reasoning, { type: 'message' }]);
		expect(whole.output_text).toBe(TEXT);
		const streamed = await openai.responses.stream(ask).finalResponse();
		expect(streamed.output).toMatchObject([reasoning, { type: 'message' }]);
		const input = [{ ...QUESTION }, ...(whole.output as OpenAI.Responses.ResponseInputItem[]), { ...QUESTION }];
		await openai.responses.create({ ...ask, input });
		expect(sent().includes(THINKING)).toBe(PROVEN.includes(name));
	});

	it('is told by /v1/chat/completions beside the content, and goes back', async () => {
		const { openai, sent } = await start(name);
		const whole = await openai.chat.completions.create({ model: ASK.model, messages: [QUESTION] });
		expect(whole.choices[0]?.message).toMatchObject({ content: TEXT, reasoning_content: THINKING });
		let [thought, said] = ['', ''];
		for await (const { choices } of await openai.chat.completions.create({
			...{ model: ASK.model, messages: [QUESTION] },
			stream: true,
		})) {
			const delta = (choices[0]?.delta ?? {}) as { content?: string | null; reasoning_content?: string };
			thought += delta.reasoning_content ?? '';
			said += delta.content ?? '';
		}
		expect([thought, said]).toEqual([THINKING, TEXT]);
		if (name === 'openai-compatible') return;
		const messages = [QUESTION, whole.choices[0]?.message as OpenAI.ChatCompletionMessageParam, QUESTION];
		await openai.chat.completions.create({ model: ASK.model, messages });
		expect(sent().includes(THINKING)).toBe(PROVEN.includes(name));
	});
});

describe('what the model of a feature thinks', () => {
	it('is told only where its contract says so', async () => {
		const { anthropic } = await start('anthropic');
		for (const model of ['drop-immediate', 'drop-buffered', 'pass-immediate', 'pass-buffered']) {
			const types = model.startsWith('pass') ? ['thinking', 'text'] : ['text'];
			const whole = await anthropic.messages.create({ ...ASK, model });
			expect(whole.content.map(({ type }) => type)).toEqual(types);
			const streamed = await anthropic.messages.stream({ ...ASK, model }).finalMessage();
			expect(streamed.content.map(({ type }) => type)).toEqual(types);
			expect(streamed.content.at(-1)).toMatchObject({ text: TEXT });
		}
	});

	it('is not what its guards judge, and is counted', async () => {
		const { openai, gateway } = await start('anthropic');
		const answer = await openai.chat.completions.create({ model: 'pass-buffered', messages: [QUESTION] });
		expect(answer.choices[0]?.message.content).toBe(TEXT);
		expect(gateway.traces.last.tokens_out).toBe(17);
	});
});
