import { readFile } from 'node:fs/promises';
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import { expect, test } from 'vitest';
import { parse } from 'yaml';

const ROOT = new URL('../../', import.meta.url);

async function validator(name: string): Promise<ValidateFunction> {
	const schema = JSON.parse(await readFile(new URL(`schemas/${name}.schema.json`, ROOT), 'utf8'));
	return new Ajv2020({ strict: true, strictTypes: false, strictRequired: false }).compile(schema);
}

test.each([
	['plimsoll', 'plimsoll.yaml'],
	['plimsoll', 'templates/project/plimsoll.yaml'],
	['contract', 'features/ask-docs/contract.yaml'],
	['contract', 'templates/project/features/ask-docs/contract.yaml'],
])('the published schema %s accepts %s', async (name, file) => {
	const validate = await validator(name);
	const text = await readFile(new URL(file, ROOT), 'utf8');
	expect(text).toMatch(/^# yaml-language-server: \$schema=\S+\.schema\.json\n/);
	validate(parse(text));
	expect(validate.errors).toBeNull();
});

test('editors learn of unknown keys, literal secrets and values out of range', async () => {
	const validate = await validator('plimsoll');
	const upstream = (more: object) => ({
		upstreams: { 'a/b': { family: 'openai-compatible', base_url: 'http://h', model: 'm', ...more } },
	});
	expect(validate(upstream({ api_key: { env: 'KEY' }, connections_max: { env: 'MAX', default: 3 } }))).toBe(true);
	expect(validate(upstream({ api_key: 'literal' }))).toBe(false);
	expect(validate(upstream({ connections_max: 0 }))).toBe(false);
	expect(validate(upstream({ conections_max: 3 }))).toBe(false);
	const contract = await validator('contract');
	expect(contract({ owner: 'x', models: { route: ['a/b'] } })).toBe(true);
	expect(contract({ owner: { env: 'OWNER' }, models: { route: ['a/b'] } })).toBe(false);
	expect(contract({ owner: 'x', models: { route: ['a/b'] }, on_failure: { empty_retrieval: 'escalate' } })).toBe(false);
});
