import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, expect, it, onTestFinished } from 'vitest';
import { VirtualClock } from '../../src/base/virtual-clock.ts';
import { OnnxThread } from '../../src/retrieval/onnx/onnx-thread.ts';

/** In place of the optional package, since no real model ends its thread or hangs when it is told to. */
const LIBRARY = `
const loader = Object.assign(function () {}, { from_pretrained: async () => {} });
export const env = {};
export const AutoTokenizer = loader;
export const AutoModelForSequenceClassification = loader;
export const Tensor = class {};
export async function pipeline() {
	const extract = async (text) => {
		if (text === 'end') process.exit(1);
		if (text === 'hang') await new Promise(() => {});
		if (text === 'fail') throw new Error('too long');
		if (text === 'busy') for (const until = Date.now() + 300; Date.now() < until; );
		return { data: Float32Array.of(text.length), dims: [1, 1] };
	};
	return Object.assign(extract, { tokenizer: { model_max_length: 8 } });
}
`;

let folder: string;
let packageName: string;
beforeAll(async () => {
	folder = await mkdtemp(path.join(tmpdir(), 'plimsoll-onnx-'));
	await writeFile(path.join(folder, 'library.mjs'), LIBRARY);
	packageName = pathToFileURL(path.join(folder, 'library.mjs')).href;
});
afterAll(() => rm(folder, { recursive: true, force: true }));

function open(name = packageName) {
	const clock = new VirtualClock();
	const thread = new OnnxThread({ task: 'embed', model: 'any/model', cacheDir: folder, packageName: name }, clock);
	onTestFinished(() => thread.close());
	const run = async (text: string, urgent = false) => {
		const [length] = await thread.run({ text, query: null }, { urgent, signal: null });
		return length;
	};
	return { thread, clock, run };
}

it('a thread that ends fails what it worked at; what waits goes to a new one', async () => {
	const { run } = open();
	const [ended, ...others] = await Promise.allSettled([run('end'), run('four'), run('twelve chars')]);
	expect(String(ended.status === 'rejected' && ended.reason)).toContain('the model’s thread was lost');
	expect(others).toMatchObject([{ value: 4 }, { value: 12 }]);
});

it('a thread that hangs is given up after two minutes; what waits goes to a new one', async () => {
	const { thread, clock, run } = open();
	await thread.open();
	const hung = run('hang').catch(String);
	const other = run('four');
	await clock.advance(120_000);
	expect(await hung).toContain('the model gave no answer for too long');
	expect(await other).toBe(4);
});

it('an input that fails costs the others nothing', async () => {
	const { run } = open();
	const ended = await Promise.allSettled([run('four'), run('fail'), run('seventy')]);
	expect(ended).toMatchObject([{ value: 4 }, { reason: { message: 'too long' } }, { value: 7 }]);
});

it('what is urgent goes before what can wait, each in its order', async () => {
	const { thread, run } = open();
	await thread.open();
	const order: number[] = [];
	const note = (value: number | undefined) => order.push(value ?? 0);
	await Promise.all([
		run('1').then(note),
		run('22').then(note),
		run('333').then(note),
		run('4444', true).then(note),
		run('55555', true).then(note),
	]);
	expect(order).toEqual([1, 4, 5, 2, 3]);
});

it('holds up nobody in this thread while it computes', async () => {
	const { thread, run } = open();
	await thread.open();
	let turns = 0;
	let isBusy = true;
	const busy = run('busy').finally(() => {
		isBusy = false;
	});
	while (isBusy) {
		turns++;
		await new Promise((resolve) => setImmediate(resolve));
	}
	expect(await busy).toBe(4);
	expect(turns).toBeGreaterThan(100);
});

it('a model that cannot be loaded is not tried again for half a minute', async () => {
	const missing = path.join(folder, 'later.mjs');
	const { clock, run } = open(pathToFileURL(missing).href);
	await expect(run('four')).rejects.toMatchObject({ code: 'dependency_missing' });
	await writeFile(missing, LIBRARY);
	await expect(run('four')).rejects.toMatchObject({ code: 'dependency_missing' });
	await clock.advance(30_000);
	expect(await run('four')).toBe(4);
});

it('a thread that is closed ends what waits and takes nothing more; what it computes it may end', async () => {
	const { thread, run } = open();
	await thread.open();
	const ended = Promise.allSettled([run('busy'), run('four')]);
	await thread.close();
	expect(await ended).toMatchObject([{ value: 4 }, { reason: { message: 'the model was closed' } }]);
	await expect(run('four')).rejects.toThrow('the model was closed');
});

it('a thread that hangs when it is closed is waited for ten seconds, and left', async () => {
	const { thread, clock, run } = open();
	await thread.open();
	const hung = run('hang');
	hung.catch(() => {});
	const closing = thread.close();
	await clock.advance(10_000);
	await closing;
	await expect(hung).rejects.toThrow('the model was closed');
});

it('a thread that is closed while it loads ends what waits', async () => {
	const { thread, run } = open();
	const ended = Promise.allSettled([run('four')]);
	await thread.close();
	expect(await ended).toMatchObject([{ reason: { message: 'the model was closed' } }]);
});
