import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { createLocalEmbedder } from '../../src/retrieval/embedding/local-embedder.ts';
import { ONNX_PACKAGE } from '../../src/retrieval/onnx/onnx-thread.ts';
import { ONNX_INSTALLED, ONNX_NEEDED } from '../support/onnx-package.ts';
import { writeTinyModel } from '../support/tiny-model.ts';

let root: string;
let model: string;

beforeAll(async () => {
	root = await mkdtemp(path.join(tmpdir(), 'plimsoll-model-'));
	model = path.join(root, 'tiny');
	await writeTinyModel(model, { east: [3, 0, 0], north: [0, 4, 0], up: [0, 0, 5] });
});
afterAll(() => rm(root, { recursive: true, force: true }));

const config = (overrides: object = {}) => ({
	name: 'tiny',
	family: 'local' as const,
	model,
	dimensions: 3,
	aliases: [],
	queryPrefix: '',
	documentPrefix: '',
	...overrides,
});

describe.skipIf(!ONNX_INSTALLED)(`an ONNX sentence transformer from a folder (${ONNX_NEEDED})`, () => {
	it('is mean-pooled over its tokens, padding left out, and scaled to unit length', async () => {
		const embedder = await createLocalEmbedder(config(), { cacheDir: root, clock: systemClock });
		const { vectors } = await embedder.embed(['east', 'north east', 'up up up up north', 'unknown words'], 'query', {
			signal: null,
		});
		const rounded = vectors.map((vector) => [...vector].map((value) => Number(value.toFixed(3))));
		expect(rounded).toEqual([
			[1, 0, 0],
			[0.6, 0.8, 0],
			[0, 0.196, 0.981],
			[0, 0, 0],
		]);
		await embedder.close();
	});

	it('embeds many texts, in order', async () => {
		const embedder = await createLocalEmbedder(config(), { cacheDir: root, clock: systemClock });
		const { vectors } = await embedder.embed(
			Array.from({ length: 40 }, (_, at) => (at % 2 ? 'up' : 'east')),
			'document',
			{ signal: null },
		);
		expect(vectors.map(([first]) => first)).toEqual(Array.from({ length: 40 }, (_, at) => (at % 2 ? 0 : 1)));
		await embedder.close();
	});

	it('cuts texts at the model’s length and says so in its identity, which changes with the model’s bytes', async () => {
		const embedder = await createLocalEmbedder(config({ queryPrefix: 'north ' }), {
			cacheDir: root,
			clock: systemClock,
		});
		const {
			vectors: [cut],
		} = await embedder.embed([`${'east '.repeat(7)}up up up up up up up`], 'document', { signal: null });
		expect([...(cut ?? [])].map((value) => value.toFixed(2))).toEqual(['0.97', '0.00', '0.23']);
		expect(embedder.identity).toMatchObject({
			provider: 'local',
			model: 'tiny',
			tokensMax: 8,
			dimensions: 3,
			queryPrefix: 'north ',
		});
		const other = path.join(root, 'changed', 'tiny');
		await writeTinyModel(other, { east: [1, 0, 0], north: [0, 1, 0], up: [0, 0, 1] });
		const changed = await createLocalEmbedder(config({ model: other }), { cacheDir: root, clock: systemClock });
		expect(changed.identity.revision).not.toBe(embedder.identity.revision);
		await embedder.close();
		await changed.close();
	});

	it('puts its prefixes in front', async () => {
		const embedder = await createLocalEmbedder(config({ queryPrefix: 'north ', documentPrefix: 'up ' }), {
			cacheDir: root,
			clock: systemClock,
		});
		const {
			vectors: [query],
		} = await embedder.embed(['east'], 'query', { signal: null });
		const {
			vectors: [document],
		} = await embedder.embed(['east'], 'document', { signal: null });
		expect([query?.[1], document?.[1]].map((value) => value?.toFixed(1))).toEqual(['0.8', '0.0']);
		await embedder.close();
	});

	it('refuses other dimensions than configured, a folder without a model and a model that is none', async () => {
		await expect(
			createLocalEmbedder(config({ dimensions: 384 }), { cacheDir: root, clock: systemClock }),
		).rejects.toMatchObject({
			code: 'configuration_invalid',
			message: expect.stringContaining('the configuration says 384 dimensions'),
		});
		await expect(
			createLocalEmbedder(config({ model: root }), { cacheDir: root, clock: systemClock }),
		).rejects.toMatchObject({
			code: 'configuration_invalid',
			message: expect.stringContaining('lacks tokenizer.json, tokenizer_config.json, config.json, onnx/model.onnx or'),
		});
		const broken = path.join(root, 'broken');
		await writeTinyModel(broken, { east: [1] });
		await writeFile(path.join(broken, 'onnx', 'model.onnx'), 'not a model');
		await expect(
			createLocalEmbedder(config({ model: broken, dimensions: 1 }), { cacheDir: root, clock: systemClock }),
		).rejects.toMatchObject({ code: 'configuration_invalid' });
	});
});

describe('without the optional package', () => {
	it('the error has the command that installs it', async () => {
		await expect(
			createLocalEmbedder(config(), {
				cacheDir: root,
				clock: systemClock,
				packageName: '@huggingface/transformers-absent',
			}),
		).rejects.toMatchObject({
			code: 'dependency_missing',
			message: expect.stringContaining(`npm install --save-prod --ignore-scripts ${ONNX_PACKAGE}@`),
		});
	});
});
