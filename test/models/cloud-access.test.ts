import { exportPKCS8, generateKeyPair } from 'jose';
import { expect, test, vi } from 'vitest';
import type { UpstreamConfig } from '../../src/contracts/project.ts';
import { FAMILIES, modelRequest, startFamily, type TestedFamily } from '../support/family-fixture.ts';
import { tokenPlace } from '../support/token-place.ts';

const bedrock = FAMILIES.bedrock as TestedFamily;
const vertex = FAMILIES.vertex as TestedFamily;

test('Bedrock with a key of its own gets a bearer token, and the path of the model', async () => {
	const { double, model } = await startFamily(bedrock, { more: { model: 'anthropic.claude-v1:0' } });
	await model.complete(modelRequest());
	expect(double.received[0]?.path).toBe('/model/anthropic.claude-v1%3A0/converse');
	expect(double.received[0]?.headers.authorization).toMatch(/^Bearer /);
});

test('Bedrock with an access key gets each request signed, whatever the environment holds', async () => {
	vi.stubEnv('AWS_BEARER_TOKEN_BEDROCK', 'of-someone-else');
	vi.stubEnv('AWS_SESSION_TOKEN', 'of-someone-else');
	const signing = { accessKeyId: 'AKIAEXAMPLE', secretAccessKey: 'secret/of+aws', sessionToken: null };
	const { double, model } = await startFamily(bedrock, { more: { apiKey: null, signing } as Partial<UpstreamConfig> });
	const { served } = await model.complete(modelRequest());
	const { headers } = double.received[0] as (typeof double.received)[number];
	expect(headers.authorization).toMatch(
		/^AWS4-HMAC-SHA256 Credential=AKIAEXAMPLE\/\d{8}\/eu-central-1\/bedrock\/aws4_request, SignedHeaders=.*, Signature=[0-9a-f]{64}$/,
	);
	expect(headers).not.toHaveProperty('x-amz-security-token');
	expect(JSON.stringify(headers)).not.toContain('secret/of+aws');
	expect(served.details).toMatchObject({ region: 'eu-central-1' });
});

test('Vertex is asked with a token of the service account, which is asked for once', async () => {
	const { asked, url } = await tokenPlace();
	const { privateKey } = await generateKeyPair('RS256', { extractable: true });
	const account = { client_email: 'me@p.test', private_key: await exportPKCS8(privateKey), token_uri: url };
	const credentials = JSON.stringify(account);
	const more = { apiKey: null, project: 'p', credentials } as Partial<UpstreamConfig>;
	const { double, model } = await startFamily(vertex, { more });
	double.next({ text: 'one' }, { text: 'two' });
	for (const text of ['one', 'two']) expect(await model.complete(modelRequest())).toMatchObject({ text });
	expect(double.received.map(({ headers }) => headers.authorization)).toEqual(Array(2).fill('Bearer token-1'));
	expect(asked).toHaveLength(1);
});

test('a package that is not installed is named with the command that installs it', async () => {
	const more = { package: '@ai-sdk/nobody' } as Partial<UpstreamConfig>;
	await expect(startFamily(FAMILIES['ai-sdk'] as TestedFamily, { more })).rejects.toMatchObject({
		code: 'dependency_missing',
		message: expect.stringMatching(/npm install --save-prod --ignore-scripts @ai-sdk\/nobody$/),
	});
});

test.each([
	[{ package: 'zod', factory: null }, /has no one factory to take|makes no language model of version v4/],
	[{ package: 'undici', factory: 'Pool' }, /makes no language model|cannot be invoked/],
])('a package that makes no such model says so to whoever asks: %j', async (more, message) => {
	const { model } = await startFamily(FAMILIES['ai-sdk'] as TestedFamily, { more: more as Partial<UpstreamConfig> });
	await expect(model.complete(modelRequest())).rejects.toMatchObject({
		kind: 'bad_request',
		message: expect.stringMatching(message),
	});
});

test('a package may call no other place than its upstream’s', async () => {
	const { model } = await startFamily(FAMILIES.cohere as TestedFamily, { more: { baseUrl: 'http://127.0.0.1:9' } });
	await expect(model.complete(modelRequest())).rejects.toMatchObject({ kind: 'connect' });
});
