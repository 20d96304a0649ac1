import { expect, test } from 'vitest';
import { loadProject } from '../../src/app/load-project.ts';
import { formatProblem } from '../../src/spec/problem.ts';
import { projectFolder, VALID_PROJECT } from '../support/project-folder.ts';

const ENV = { ALERTS_URL: 'https://hooks.example.com/T0/B0/very-secret', ALERTS_SECRET: 'x'.repeat(32) };

async function load(webhook: string, env: Record<string, string> = ENV) {
	const yaml = `${VALID_PROJECT['plimsoll.yaml']}alerts:\n  webhooks:\n    on-call: ${webhook}\n`;
	return loadProject(await projectFolder({ ...VALID_PROJECT, 'plimsoll.yaml': yaml }), env);
}

test('a webhook by reference, with its defaults', async () => {
	const loaded = await load('{url: {env: ALERTS_URL}, hmac_secret: {env: ALERTS_SECRET}}');
	expect(loaded.value?.config.alerts.webhooks).toEqual([
		{
			name: 'on-call',
			url: ENV.ALERTS_URL,
			format: 'json',
			hmacSecret: ENV.ALERTS_SECRET,
			severityMin: 'ticket',
			privateAddresses: 'refuse',
			timeoutMs: 5_000,
			attemptsMax: 5,
		},
	]);
});

test.each([
	[
		'a secret in the file',
		'{url: {env: ALERTS_URL}, hmac_secret: very-secret}',
		'hmac_secret: holds the secret itself',
	],
	['no address', '{url: nowhere}', 'url: is no address that can be posted to'],
	['another protocol', '{url: "file:///etc/passwd"}', 'url: is no address that can be posted to'],
	['a password', '{url: "https://a:very-secret@example.com/"}', 'url: holds a user name or password'],
	['this machine', '{url: "http://localhost:80/"}', 'url: leads to this machine or a private network'],
	['a private network', '{url: "http://10.0.0.1/"}', 'write private_addresses: allow'],
	['a cloud’s metadata', '{url: "http://0xA9FEA9FE/"}', 'leads to this machine or a private network'],
	['an unknown severity', '{url: {env: ALERTS_URL}, severity_min: pages}', 'did you mean page?'],
	['an unknown key', '{url: {env: ALERTS_URL}, secret: {env: ALERTS_SECRET}}', 'unknown key'],
])('refuses %s', async (_, webhook, message) => {
	const problems = (await load(webhook)).problems.map(formatProblem);
	expect(problems).toEqual([expect.stringContaining(message)]);
	expect(problems[0]).toMatch(/^plimsoll\.yaml:\d+:\d+: alerts\.webhooks\.on-call/);
	expect(problems[0]).not.toContain('very-secret');
});

test('names a variable that is not set, and lets a private address be meant', async () => {
	const unset = (await load('{url: {env: ALERTS_URL}}', {})).problems.map(formatProblem);
	expect(unset).toEqual([expect.stringContaining('the environment variable ALERTS_URL is not set')]);
	expect((await load('{url: "http://127.0.0.1:9/", private_addresses: allow}')).problems).toEqual([]);
});
