import { expect, onTestFinished, test } from 'vitest';
import { createRuntime } from '../../src/app/create-runtime.ts';
import { projectFolder, VALID_PROJECT } from '../support/project-folder.ts';
import { type Plan, startUpstreamDouble } from '../support/upstream-double.ts';

const SCHEMA = {
	type: 'object',
	properties: { port: { type: 'string' }, draught_cm: { type: 'integer' } },
	required: ['port', 'draught_cm'],
	additionalProperties: false,
};
const PROMPT = VALID_PROJECT['features/ask/prompts/answer.prompt'] ?? '';

const UPSTREAMS: Readonly<Record<string, (url: string) => string>> = {
	openai: (url) =>
		`{family: openai-compatible, base_url: "${url}", model: mock-1, api_key: {env: MOCK_KEY}, private_addresses: allow}`,
	anthropic: (url) =>
		`{family: anthropic, base_url: "${url}", model: claude-sonnet-4-5, api_key: {env: MOCK_KEY}, private_addresses: allow}`,
	google: (url) =>
		`{family: google, base_url: "${url}beta", model: gemini-2.5-flash, api_key: {env: MOCK_KEY}, private_addresses: allow}`,
	prompted: (url) =>
		`{family: openai-compatible, base_url: "${url}", model: mock-1, api_key: {env: MOCK_KEY}, json_schema: false}`,
};

/** A project with one feature of an output schema over a double that speaks the vendor's format. */
async function start(vendor: string, plan: Plan) {
	const double = await startUpstreamDouble({ plan, record: true });
	onTestFinished(() => double.close());
	const dir = await projectFolder({
		'plimsoll.yaml': `upstreams:\n  mock/one: ${UPSTREAMS[vendor]?.(double.url)}\n`,
		'features/ask/contract.yaml':
			'owner: tests\nmodels: {route: [mock/one]}\nguards: {output_schema: schemas/output.json}\n',
		'features/ask/prompts/answer.prompt': PROMPT,
		'features/ask/schemas/output.json': JSON.stringify(SCHEMA),
	});
	const runtime = await createRuntime({ dir, env: { MOCK_KEY: 'k' } });
	onTestFinished(() => runtime.close());
	return { double, runtime };
}

test.each(['openai', 'anthropic', 'google'])('%s is held to the contract’s schema while it answers', async (vendor) => {
	const { double, runtime } = await start(vendor, {});
	const { text } = await runtime.ask('ask', { question: 'Where, and how deep?' });
	expect(JSON.parse(text)).toEqual({ port: expect.any(String), draught_cm: expect.any(Number) });
	const sent = double.bodies.at(-1);
	expect(sent).toContain('"draught_cm"');
	expect(sent).not.toContain('It must satisfy this JSON Schema');
});

test('an upstream that cannot be held to it is asked in the prompt, which the hash of the prompt covers', async () => {
	const { double, runtime } = await start('prompted', { text: '{"port": "Kiel", "draught_cm": 310}' });
	const { text, requestId } = await runtime.ask('ask', { question: 'Where, and how deep?' });
	expect(JSON.parse(text)).toEqual({ port: 'Kiel', draught_cm: 310 });
	const body = JSON.parse(double.bodies.at(-1) ?? '') as { messages: { role: string; content: string }[] };
	expect(body).not.toHaveProperty('response_format');
	expect(body.messages[0]).toMatchObject({
		role: 'system',
		content: expect.stringMatching(
			/^\s*Answer from the passages\.[\s\S]*It must satisfy this JSON Schema:\n\{"type":"object"/,
		),
	});
	await expect.poll(() => runtime.trace(requestId), { timeout: 30_000 }).toMatchObject({ outcome: 'ok' });
	const trace = await runtime.trace(requestId);
	const assembled = trace?.steps.find(({ stage }) => stage === 'assemble')?.detail;
	expect(assembled).toMatchObject({ schema_in_prompt: true });
	expect(assembled?.tokens_in).toBeGreaterThan(60);
});
