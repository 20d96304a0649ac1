import { describe, expect, it } from 'vitest';
import { compileProject } from '../../src/contracts/compile-project.ts';
import type { UpstreamConfig } from '../../src/contracts/project.ts';
import { parseYaml } from '../../src/contracts/yaml-document.ts';

const ACCOUNT = '{"client_email": "me@p.test", "private_key": "secret-pem"}';
const ENV = { KEY: 'k-secret', ID: 'AKIA', SECRET: 's-secret', ACCOUNT };

function compiled(lines: string, env: Record<string, string> = ENV) {
	const text = `upstreams:\n  x/y: ${lines}\n`;
	return compileProject(parseYaml({ file: 'plimsoll.yaml', text }), { dir: '/p', env, secretFiles: new Map() });
}

describe('an upstream', () => {
	it.each([
		['{family: anthropic, model: m, api_key: {env: KEY}}', 'https://api.anthropic.com/v1'],
		['{family: google, model: m, api_key: {env: KEY}}', 'https://generativelanguage.googleapis.com/v1beta'],
		['{family: cohere, model: m, api_key: {env: KEY}}', 'https://api.cohere.com/v2'],
		[
			'{family: bedrock, model: m, region: eu-central-1, api_key: {env: KEY}}',
			'https://bedrock-runtime.eu-central-1.amazonaws.com',
		],
		[
			'{family: bedrock, model: m, region: cn-north-1, api_key: {env: KEY}}',
			'https://bedrock-runtime.cn-north-1.amazonaws.com.cn',
		],
		[
			'{family: vertex, model: m, project: p, credentials: {env: ACCOUNT}}',
			'https://aiplatform.googleapis.com/v1beta1/projects/p/locations/global/publishers/google',
		],
		[
			'{family: vertex, model: m, project: p, region: europe-west4}',
			'https://europe-west4-aiplatform.googleapis.com/v1beta1/projects/p/locations/europe-west4/publishers/google',
		],
		[
			'{family: vertex, model: m, project: p, region: eu}',
			'https://aiplatform.eu.rep.googleapis.com/v1beta1/projects/p/locations/eu/publishers/google',
		],
		['{family: vertex, model: m, api_key: {env: KEY}}', 'https://aiplatform.googleapis.com/v1/publishers/google'],
		['{family: ai-sdk, package: "@ai-sdk/mistral", model: m}', null],
		[
			'{family: anthropic, model: m, api_key: {env: KEY}, base_url: "http://10.0.0.7/v1/", private_addresses: allow}',
			'http://10.0.0.7/v1',
		],
		['{preset: ollama, model: m, base_url: "http://10.0.0.7/v1"}', 'http://10.0.0.7/v1'],
		['{family: openai-compatible, model: m, base_url: "http://[::1]:8000/v1"}', 'http://[::1]:8000/v1'],
	])('%s is at %s', (lines, baseUrl) => {
		const { config, problems } = compiled(lines);
		expect(problems).toEqual([]);
		expect(config?.upstreams.get('x/y')?.baseUrl).toBe(baseUrl);
	});

	it.each([
		['{family: anthropic, model: m, api_key: {env: KEY}}', false, 3_932_160],
		[
			'{family: anthropic, model: m, api_key: {env: KEY}, base_url: "http://10.0.0.7/v1", private_addresses: allow}',
			true,
			3_932_160,
		],
		['{preset: vllm, model: m, base_url: "https://gpu.example.com/v1"}', true, null],
		['{family: openai-compatible, model: m, base_url: "http://api.localhost:8000/v1"}', true, null],
		['{family: openai-compatible, model: m, base_url: "https://api.example.com/v1"}', false, null],
		['{family: vertex, model: m, project: p}', false, 7_340_032],
		['{family: extractive}', false, null],
	])('%s: is it a server of one’s own? %s', (lines, isOwnServer, bytesMax) => {
		const upstream = compiled(lines).config?.upstreams.get('x/y');
		expect(upstream).toMatchObject({ isOwnServer, images: { bytesMax } });
	});

	it('keeps what its family alone has', () => {
		const of = (lines: string) => compiled(lines).config?.upstreams.get('x/y') as UpstreamConfig;
		expect(of('{family: ai-sdk, package: "@ai-sdk/mistral", model: m, settings: {a: 1}}')).toMatchObject({
			...{ package: '@ai-sdk/mistral', factory: null, optionsName: 'mistral', settings: { a: 1 } },
		});
		const signed = '{family: bedrock, model: m, region: r, access_key_id: {env: ID}, secret_access_key: {env: SECRET}}';
		expect(of(signed)).toMatchObject({
			signing: { accessKeyId: 'AKIA', secretAccessKey: 's-secret', sessionToken: null },
			apiKey: null,
		});
	});

	it.each([
		['{family: anthropc, model: m, api_key: {env: KEY}}', 'family', /anthropc/, 'did you mean anthropic?'],
		['{family: anthropic, model: m}', 'api_key', /is missing/, 'add it'],
		['{family: anthropic, model: m, api_key: {env: NOBODY}}', 'api_key', /NOBODY is not set/, 'set it'],
		['{family: anthropic, model: m, api_key: k-secret}', 'api_key', /holds the secret itself/, /out of git/],
		['{family: google, model: m, api_key: {env: KEY}, base_url: "ftp://x"}', 'base_url', /found the text/, null],
		[
			'{family: google, model: m, api_key: {env: KEY}, base_url: "http://localhost:1"}',
			'base_url',
			/of this machine/,
			/allow/,
		],
		[
			'{preset: groq, model: m, api_key: {env: KEY}, base_url: "https://192.168.1.2/v1"}',
			'base_url',
			/private network/,
			/allow/,
		],
		[
			'{preset: groq, model: m, api_key: {env: KEY}, base_url: "http://[fd12::1]/v1"}',
			'base_url',
			/private network/,
			/allow/,
		],
		...['169.254.169.254', '[fd00:ec2::254]', '[::ffff:169.254.169.254]', 'metadata.google.internal', '0xa9fea9fe'].map(
			(host): [string, string, RegExp, null] => [
				`{preset: vllm, model: m, base_url: "http://${host}/v1", private_addresses: allow}`,
				'base_url',
				/is link-local/,
				null,
			],
		),
		['{family: google, model: m, api_key: {env: KEY}, base_url: "https://u:p@x"}', 'base_url', /user name/, /api_key/],
		['{family: google, model: m, api_key: {env: KEY}, project: p}', 'project', /unknown key/, /./],
		['{family: bedrock, model: m, api_key: {env: KEY}}', 'region', /is missing/, 'add it'],
		['{family: bedrock, model: m, region: r}', 'api_key', /is missing/, /or access_key_id and secret_access_key/],
		[
			'{family: bedrock, model: m, region: r, access_key_id: {env: ID}}',
			'access_key_id',
			/without secret_access_key/,
			/add/,
		],
		[
			'{family: bedrock, model: m, region: r, secret_access_key: {env: SECRET}}',
			'secret_access_key',
			/without access_key_id/,
			/add/,
		],
		[
			'{family: bedrock, model: m, region: r, api_key: {env: KEY}, session_token: {env: SECRET}}',
			'session_token',
			/without an access key/,
			/add/,
		],
		[
			'{family: bedrock, model: m, region: r, api_key: {env: KEY}, access_key_id: {env: ID}, secret_access_key: {env: SECRET}}',
			'api_key',
			/beside an access key/,
			'keep one of them',
		],
		[
			'{family: bedrock, model: m, region: r, access_key_id: {env: ID}, secret_access_key: s-secret}',
			'secret_access_key',
			/holds the secret itself/,
			/out of git/,
		],
		['{family: bedrock, model: m, region: "eu.evil.test/", api_key: {env: KEY}}', 'region', /found/, null],
		['{family: vertex, model: m}', 'project', /is missing/, /express mode/],
		[
			'{family: vertex, model: m, project: p, credentials: {env: KEY}}',
			'credentials',
			/no key of a service account/,
			null,
		],
		[
			'{family: vertex, model: m, api_key: {env: KEY}, credentials: {env: ACCOUNT}}',
			'api_key',
			/beside credentials/,
			/keep/,
		],
		['{family: ai-sdk, package: "../evil.js", model: m}', 'package', /found/, null],
		['{family: ai-sdk, model: m}', 'package', /is missing/, 'add it'],
	])('%s is refused at %s', (lines, field, message, hint) => {
		const { config, problems } = compiled(lines);
		expect(config).toBeNull();
		expect(problems).toMatchObject([
			{ line: 2, field: `upstreams.x/y.${field}`, message: expect.stringMatching(message) },
		]);
		if (hint === null) expect(problems[0]?.hint).toBeNull();
		else expect(problems[0]?.hint).toMatch(hint);
		expect(JSON.stringify(problems)).not.toMatch(/[ks]-secret|secret-pem/);
	});

	it('that is optional and switched on by its address still needs the key that its family needs', () => {
		const lines = '{family: anthropic, optional: true, model: m, base_url: {env: URL}, api_key: {env: NOBODY}}';
		expect(compiled(lines, {}).config?.upstreams.get('x/y')).toMatchObject({ available: false, apiKey: null });
		expect(compiled(lines, { URL: 'http://h' }).problems).toMatchObject([{ field: 'upstreams.x/y.api_key' }]);
	});
});
