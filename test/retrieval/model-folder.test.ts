import { mkdtemp, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { sha256Of } from '../../src/base/hash.ts';
import { folderFacts } from '../../src/retrieval/onnx/model-folder.ts';
import { writeTinyCrossEncoder } from '../support/tiny-model.ts';

it('of another model is another one, also where the weights were swapped and their size and date kept', async () => {
	const folder = await mkdtemp(path.join(tmpdir(), 'plimsoll-model-'));
	onTestFinished(() => rm(folder, { recursive: true, force: true }));
	await writeTinyCrossEncoder(folder, { hull: 1 });
	const weights = path.join(folder, 'onnx/model.onnx');
	await writeFile(weights, Buffer.alloc(3_000_000, 1));
	const { atime, mtime, ino } = await stat(weights);
	const before = await folderFacts(folder);
	expect(await folderFacts(folder)).toEqual(before);
	await writeFile(weights, Buffer.alloc(3_000_000, 2));
	await utimes(weights, atime, mtime);
	expect(await stat(weights)).toMatchObject({ ino, size: 3_000_000 });
	const after = await folderFacts(folder);
	expect(after.bytes).not.toBe(before.bytes);
	await writeFile(path.join(folder, 'onnx/model_quantized.onnx'), 'q');
	expect((await folderFacts(folder)).bytes).not.toBe(after.bytes);
});

it('keeps the revision that indexes of earlier releases name', async () => {
	const folder = await mkdtemp(path.join(tmpdir(), 'plimsoll-model-'));
	onTestFinished(() => rm(folder, { recursive: true, force: true }));
	await writeTinyCrossEncoder(folder, { hull: 1 });
	await writeFile(path.join(folder, 'tokenizer.json'), '{}');
	await writeFile(path.join(folder, 'onnx/model.onnx'), 'weights');
	const bytes = sha256Of(['{}', 'weights']).slice(0, 12);
	expect(await folderFacts(folder)).toEqual({ bytes, dtype: 'fp32' });
});
