import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { json, plimsoll } from '../support/cli-process.ts';
import { projectFolder } from '../support/project-folder.ts';

const PROJECT = `upstreams:
  openai/default:
    family: openai-compatible
    base_url: https://example.test/v1
    model: gpt-x
  anthropic/big:
    family: openai-compatible
    base_url: https://example.test/v1
    model: claude-x
  vllm/own:
    family: openai-compatible
    base_url: http://127.0.0.1:8000/v1
    model: qwen
    price: {free: true}
prices: {unknown: refuse, age_days_max: 30}
`;
const LIST = JSON.stringify({
	'gpt-x': { input_cost_per_token: 2.5e-7, output_cost_per_token: 2e-6 },
	'claude-x': { input_cost_per_token: 3e-6, output_cost_per_token: 1.5e-5, cache_read_input_token_cost: 3e-7 },
	other: { input_cost_per_token: 1e-6, output_cost_per_token: 1e-6 },
});

test('a public list is imported for the upstreams that need it, and shown with its age', async () => {
	const cwd = await projectFolder({ 'plimsoll.yaml': PROJECT, 'list.json': LIST });
	// Prices are demanded and there are none yet: that must not stand in the way of getting them.
	expect((await plimsoll(['prices'], { cwd })).code).toBe(3);
	const taken = await plimsoll(['prices', 'import', 'list.json', '--as-of', '2020-01-31'], { cwd });
	expect(taken).toMatchObject({ code: 0, stderr: '' });
	expect(taken.stdout).toContain('Wrote prices.yaml: 2 prices, version 2020-01-31, as of 2020-01-31');
	const written = await readFile(join(cwd, 'prices.yaml'), 'utf8');
	expect(written).toContain('prices.schema.json');
	expect(written).not.toContain('other');

	const shown = await plimsoll(['prices'], { cwd });
	expect(shown.stdout).toMatch(
		/openai\/default +gpt-x +2020-01-31 +[\d,]+ d +\$0\.25 +\$0\.25 +\$0\.25 +\$2 +\$2 +list/,
	);
	expect(shown.stdout).toMatch(/vllm\/own +qwen +free +- +\$0 .* free/);
	expect(shown.stderr).toContain('openai/default, anthropic/big: older than 30 days');
	const { prices } = json(await plimsoll(['prices', '--json'], { cwd }));
	expect(prices).toMatchObject([
		{ upstream: 'openai/default', old: true, from: 'list', input_micros_per_million: 250_000 },
		{ upstream: 'anthropic/big', as_of: '2020-01-31', cached_input_micros_per_million: 300_000 },
		{ upstream: 'vllm/own', old: false, from: 'plimsoll.yaml', input_micros_per_million: 0 },
	]);
});

test('what the list lacks is told; prices written by hand are not lost; a list that is none is refused', async () => {
	const byHand = 'version: v\nas_of: 2026-11-01\nmodels: {mine: {free: true}}\n';
	const text = PROJECT.replace('unknown: refuse', 'unknown: estimate').replace('model: claude-x', 'model: claude-y');
	const cwd = await projectFolder({ 'plimsoll.yaml': text, 'list.json': LIST, 'prices.yaml': byHand });
	const lost = await plimsoll(['prices', 'import', 'list.json'], { cwd });
	expect(lost).toMatchObject({ code: 2, stderr: expect.stringContaining('the import would remove: mine') });
	expect(await readFile(join(cwd, 'prices.yaml'), 'utf8')).toBe(byHand);
	const taken = await plimsoll(['prices', 'import', 'list.json', '--replace', '--name', 'mine', '--json'], { cwd });
	expect(json(taken)).toMatchObject({
		version: 'mine',
		as_of: expect.stringMatching(/^20\d\d-\d\d-\d\d$/),
		priced: [{ upstream: 'openai/default', entry: 'gpt-x' }],
		missing: [{ upstream: 'anthropic/big', model: 'claude-y' }],
	});
	expect((await plimsoll(['prices'], { cwd })).stderr).toContain('anthropic/big: no price is known');
	await writeFile(join(cwd, 'list.json'), '[1');
	const broken = await plimsoll(['prices', 'import', 'list.json'], { cwd });
	expect(broken).toMatchObject({ code: 3, stderr: expect.stringContaining('list.json: is not JSON') });
});
