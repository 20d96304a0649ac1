import { expect, onTestFinished, test } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { compileProject } from '../../src/contracts/compile-project.ts';
import { PRESET_NAMES, PRESETS, type Preset } from '../../src/contracts/presets.ts';
import type { UpstreamConfig } from '../../src/contracts/project.ts';
import { parseYaml } from '../../src/contracts/yaml-document.ts';
import { createModel } from '../../src/models/create-model.ts';
import { modelRequest } from '../support/family-fixture.ts';
import { VendorDouble } from '../support/vendor-double.ts';
import type { VendorFormat } from '../support/vendor-formats.ts';

const KEYS = Object.fromEntries(
	Object.values<Preset>(PRESETS).flatMap(({ keyVariable }) => (keyVariable ? [[keyVariable, 'key-secret']] : [])),
);

/** As much of OpenAI's format as shows what was sent. */
const OPENAI: VendorFormat = {
	streamType: 'text/event-stream',
	isStream: (_path, body) => body.stream === true,
	plain: () => ({ choices: [{ index: 0, message: { role: 'assistant', content: 'ok' }, finish_reason: 'stop' }] }),
	frames: () => [
		Buffer.from('data: {"choices":[{"index":0,"delta":{"content":"ok"},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'),
	],
	error: () => ({ status: 500, body: {} }),
	errorFrame: null,
	read: () => ({ tools: [], images: 0, text: '', schema: null }),
};

function compiled(lines: string, env: Record<string, string> = KEYS) {
	const text = `upstreams:\n  x/y: ${lines}\n`;
	return compileProject(parseYaml({ file: 'plimsoll.yaml', text }), { dir: '/p', env, secretFiles: new Map() });
}

function upstream(lines: string): UpstreamConfig {
	const { config, problems } = compiled(lines);
	expect(problems).toEqual([]);
	return config?.upstreams.get('x/y') as UpstreamConfig;
}

async function start(lines: (url: string) => string) {
	const double = await new VendorDouble(OPENAI).listen();
	const model = createModel(upstream(lines(double.url)), { clock: systemClock });
	onTestFinished(async () => {
		await model.close();
		await double.close();
	});
	return { double, model };
}

test.each(PRESET_NAMES.filter((name) => PRESETS[name].baseUrl !== null))(
	'%s needs a model and nothing else',
	(name) => {
		const preset: Preset = PRESETS[name];
		expect(upstream(`{preset: ${name}, model: m}`)).toMatchObject({
			family: 'openai-compatible',
			baseUrl: preset.baseUrl,
			apiKey: preset.keyVariable === null ? null : 'key-secret',
			tokensOutParameter: preset.tokensOutParameter,
			wire: { streamUsage: preset.streamUsage, jsonSchema: preset.jsonSchema, keyHeader: preset.keyHeader },
		});
	},
);

test('what the file says goes before the preset', () => {
	const own = upstream('{preset: groq, model: m, base_url: "http://proxy/v1/", tokens_out_parameter: max_tokens}');
	expect(own).toMatchObject({ baseUrl: 'http://proxy/v1', tokensOutParameter: 'max_tokens', apiKey: 'key-secret' });
});

test('a preset whose variable is not set says which', () => {
	const { problems } = compiled('{preset: groq, model: m}', {});
	expect(problems).toMatchObject([
		{ line: 2, field: 'upstreams.x/y.api_key', message: expect.stringMatching(/GROQ_API_KEY is not set/) },
	]);
});

test('an optional upstream of a preset is switched on by the variable of its key', () => {
	const off = compiled('{preset: groq, optional: true, model: m}', {}).config?.upstreams.get('x/y');
	expect(off).toMatchObject({ available: false, switchedOnBy: ['GROQ_API_KEY'] });
	expect(upstream('{preset: groq, optional: true, model: m}').available).toBe(true);
});

test('an unknown preset is named with the nearest one, and is the only problem', () => {
	const { problems } = compiled('{preset: grok, model: m}');
	expect(problems).toMatchObject([{ field: 'upstreams.x/y.preset', hint: 'did you mean groq?' }]);
});

test.each([
	['{preset: azure, model: m}', 'upstreams.x/y.base_url', /is missing/],
	['{preset: groq, model: m, api_version: "2024-10-21"}', 'upstreams.x/y.api_version', /only Azure/],
])('%s is refused', (lines, field, message) => {
	expect(compiled(lines).problems).toMatchObject([{ field, message: expect.stringMatching(message) }]);
});

test.each([
	['', '', '/openai/v1/chat/completions'],
	['/openai/v1', '', '/openai/v1/chat/completions'],
	['', ', api_version: "2024-10-21"', '/openai/deployments/gpt%204/chat/completions?api-version=2024-10-21'],
	['/openai', ', api_version: "2024-10-21"', '/openai/deployments/gpt%204/chat/completions?api-version=2024-10-21'],
])('Azure at …%s%s is asked at %s, with its own header', async (path, more, expected) => {
	const { double, model } = await start(
		(url) => `{preset: azure, base_url: "${url}${path}", private_addresses: allow, model: gpt 4${more}}`,
	);
	await model.complete(modelRequest());
	expect(double.received[0]?.path).toBe(expected);
	expect(double.received[0]?.headers).toMatchObject({ 'api-key': 'key-secret' });
	expect(double.received[0]?.headers).not.toHaveProperty('authorization');
});

test('Mistral is asked for no usage report, and for its own name of the seed', async () => {
	const { double, model } = await start(
		(url) => `{preset: mistral, base_url: "${url}/v1", private_addresses: allow, model: m}`,
	);
	for await (const _ of await model.stream(modelRequest({ parameters: { seed: 7, logprobs: false, user: 'ann' } })));
	const { body, headers } = double.received[0] as (typeof double.received)[number];
	expect(body).toEqual({ random_seed: 7, model: 'm', messages: expect.anything(), stream: true });
	expect(headers.authorization).toBe('Bearer key-secret');
});

test.each([
	['mistral', { logit_bias: { 1: 1 } }, /logit_bias/],
	['groq', { logprobs: true }, /logprobs/],
	['deepseek', { response_format: { type: 'json_schema', json_schema: {} } }, /response_format must be json_object/],
	['ollama', { tool_choice: 'required' }, /tool_choice/],
])('%s refuses %j by name and is not asked', async (preset, parameters, message) => {
	const { double, model } = await start(
		(url) => `{preset: ${preset}, private_addresses: allow, base_url: "${url}/v1", model: m}`,
	);
	const asked = model.complete(modelRequest({ parameters }));
	await expect(asked).rejects.toMatchObject({ kind: 'bad_request', message: expect.stringMatching(message) });
	await expect(model.stream(modelRequest({ parameters }))).rejects.toMatchObject({ kind: 'bad_request' });
	expect(double.received).toHaveLength(0);
});

test('options of the provider’s own are sent: the upstream’s, and over them those under its name', async () => {
	const { double, model } = await start(
		(url) =>
			`{preset: openai, base_url: "${url}/v1", private_addresses: allow, model: m, provider_options: {service_tier: flex, store: true}}`,
	);
	const options = { x: { service_tier: 'priority' }, other: { store: false } };
	await model.complete(modelRequest({ parameters: { temperature: 0, provider_options: options } }));
	expect(double.received[0]?.body).toEqual({
		temperature: 0,
		service_tier: 'priority',
		store: true,
		model: 'm',
		messages: expect.anything(),
		stream: false,
	});
});
