import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { VirtualClock } from '../../src/base/virtual-clock.ts';
import { createLocalReranker } from '../../src/retrieval/local-reranker.ts';
import { ONNX_PACKAGE } from '../../src/retrieval/onnx/onnx-thread.ts';
import { Rerankers } from '../../src/retrieval/rerankers.ts';
import { createRetriever } from '../../src/retrieval/search.ts';
import { openFieldIndex } from '../support/field-index.ts';
import { ONNX_INSTALLED, ONNX_NEEDED } from '../support/onnx-package.ts';
import { SEARCH } from '../support/retrieval-fixture.ts';
import { writeTinyCrossEncoder, writeTinyModel } from '../support/tiny-model.ts';

let root: string;
let model: string;
const warnings: string[] = [];

beforeAll(async () => {
	root = await mkdtemp(path.join(tmpdir(), 'plimsoll-reranker-'));
	model = path.join(root, 'tiny');
	await writeTinyCrossEncoder(model, { hull: 1, mast: 2, keel: 3 });
});
afterAll(() => rm(root, { recursive: true, force: true }));

const ASK = { timeoutMs: 60_000, signal: null };

function open(of: { model?: string; packageName?: string; clock?: VirtualClock } = {}) {
	warnings.length = 0;
	const { packageName, clock = systemClock } = of;
	const config = { format: 'local' as const, model: of.model ?? model, pool: 20, timeoutMs: 1_000 };
	const warn = (message: string) => warnings.push(message);
	const reranker = createLocalReranker(config, { cacheDir: root, clock, warn, ...(packageName && { packageName }) });
	onTestFinished(() => reranker.close());
	return reranker;
}

describe.skipIf(!ONNX_INSTALLED)(`an ONNX cross-encoder from a folder (${ONNX_NEEDED})`, () => {
	it('reads the query with each passage, and its logits are the scores in the order of the passages', async () => {
		const reranker = open();
		const passages = ['mast', 'keel keel keel', 'hull mast keel', 'nothing known', ''];
		expect(await reranker.score('hull mast', passages, ASK)).toEqual([6, 27, 18, 0, 0]);
		expect(await reranker.score('unknown', passages, ASK)).toEqual([0, 0, 0, 0, 0]);
	});

	it('scores many passages, short and long ones mixed, each as it would alone', async () => {
		const reranker = open();
		const passages = Array.from({ length: 50 }, (_, at) => 'mast '.repeat((at * 7) % 11));
		const scores = await reranker.score('hull', passages, ASK);
		expect(scores).toEqual(passages.map((_, at) => 2 * ((at * 7) % 11)));
	});

	it('cuts a passage that is too long at its end, and a query at half of what the model reads', async () => {
		const reranker = open();
		// Sixteen tokens: three marks, one of the query, twelve of the passage.
		expect(await reranker.score('hull', ['mast '.repeat(40)], ASK)).toEqual([24]);
		const [score] = await reranker.score('hull '.repeat(1_000), ['mast mast'], ASK);
		expect(score).toBeGreaterThan(0);
	});

	it('names the model by its bytes once it is loaded', async () => {
		const reranker = open();
		expect(reranker).toMatchObject({ model: 'tiny', revision: null, costMicros: null });
		await reranker.load();
		expect(reranker.revision).toMatch(/^[0-9a-f]{12}-fp32$/);
		const other = path.join(root, 'changed', 'tiny');
		await writeTinyCrossEncoder(other, { hull: 1, mast: 2, keel: 4 });
		const changed = open({ model: other });
		await changed.load();
		expect(changed.revision).not.toBe(reranker.revision);
	});

	it('costs its time-out and no more while the model is being loaded, and answers when it is', async () => {
		const clock = new VirtualClock();
		const reranker = open({ clock });
		const scoring = reranker.score('hull', ['mast'], { timeoutMs: 1_000, signal: null });
		const refused = expect(scoring).rejects.toThrow('its model is being loaded');
		await clock.advance(1_000);
		await refused;
		await reranker.load();
		expect(await reranker.score('hull', ['mast'], ASK)).toEqual([2]);
	});

	it('ends at once for who gives up, and for the others goes on', async () => {
		const reranker = open();
		await reranker.load();
		const stop = new AbortController();
		const given = reranker.score('hull', Array(200).fill('mast'), { ...ASK, signal: stop.signal });
		const kept = reranker.score('hull', ['keel'], ASK);
		stop.abort(new Error('the client left'));
		await expect(given).rejects.toThrow('the client left');
		expect(await kept).toEqual([3]);
	});

	it('refuses more than it can work off, and works off the rest', async () => {
		const reranker = open();
		const many = Array.from({ length: 40 }, () => reranker.score('hull', Array(160).fill('mast'), ASK));
		const ended = await Promise.allSettled(many);
		const refused = ended.flatMap((end) => (end.status === 'rejected' ? [String(end.reason)] : []));
		expect(refused.length).toBeGreaterThan(0);
		expect(new Set(refused)).toEqual(new Set(['Error: 1024 texts wait for the model already']));
		const worked = ended.filter(({ status }) => status === 'fulfilled');
		expect(worked.length).toBeGreaterThanOrEqual(6);
		expect(await reranker.score('hull', ['keel'], ASK)).toEqual([3]);
	});

	it.each([
		['no folder', 'nowhere', async () => {}, 'there is no folder'],
		['an empty one', '.', async () => {}, 'lacks tokenizer.json'],
		[
			'a sentence transformer',
			'sentences',
			(to: string) => writeTinyModel(to, { east: [1] }),
			'BertModel, and no cross-encoder',
		],
		[
			'a classifier',
			'classes',
			async (to: string) => {
				await writeTinyCrossEncoder(to, { hull: 1 });
				const config = {
					architectures: ['BertForSequenceClassification'],
					id2label: { 0: 'no', 1: 'maybe', 2: 'yes' },
				};
				await writeFile(path.join(to, 'config.json'), JSON.stringify({ model_type: 'bert', ...config }));
			},
			'gives 3 labels; a cross-encoder gives one score',
		],
		[
			'a broken file',
			'broken',
			async (to: string) => {
				await writeTinyCrossEncoder(to, { hull: 1 });
				await writeFile(path.join(to, 'onnx', 'model.onnx'), 'not a model');
			},
			'',
		],
	])('says why it cannot use %s', async (_, name, make, reason) => {
		const folder = path.join(root, name);
		await make(folder);
		const reranker = open({ model: folder });
		await reranker.load();
		expect(warnings).toEqual([expect.stringMatching(`cannot be used: .*${reason}`)]);
		await expect(reranker.score('hull', ['mast'], ASK)).rejects.toThrow(reason);
		// It is told once, however often it is asked.
		expect(warnings).toHaveLength(1);
	});
});

describe.skipIf(!ONNX_INSTALLED)(`a search with an ONNX cross-encoder (${ONNX_NEEDED})`, () => {
	it('orders the pool anew, names the model by its bytes, and a model that is edited away is closed', async () => {
		const parts = { http: null as never, clock: systemClock, cacheDir: root, warn: () => {} };
		const rerankers = new Rerankers(parts);
		const rerank = { format: 'local' as const, model, pool: 10, timeoutMs: 60_000 };
		const documents = ['hull', 'hull mast', 'hull keel mast', 'hull keel'].map((text, at) => ({
			id: `d${at}`,
			text,
			fields: {},
		}));
		const index = await openFieldIndex(documents, new Map(), {
			config: { embedder: null, search: { ...SEARCH, rerank } },
			make: (of) => createRetriever({ ...of, rerankers }),
		});
		rerankers.update([rerank]);
		await rerankers.load();
		const ask = { collection: 'docs', query: 'hull', k: 3, mode: null, filter: null, signal: null };
		const { hits, rerank: report, degraded } = await index.retriever.search(ask);
		expect(hits.map(({ documentId, rerankScore }) => [documentId, rerankScore])).toEqual([
			['d2', 6],
			['d3', 4],
			['d1', 3],
		]);
		expect(report).toMatchObject({
			model: 'tiny',
			revision: expect.stringMatching(/-fp32$/),
			failure: null,
			costMicros: 0,
		});
		expect(degraded).toBeNull();
		rerankers.update([]);
		expect(rerankers.of(rerank).revision).toBeNull();
		await index.close();
		await rerankers.close();
	});
});

it('without the optional package the error has the command that installs it', async () => {
	const reranker = open({ packageName: `${ONNX_PACKAGE}-absent` });
	await expect(reranker.score('hull', ['mast'], ASK)).rejects.toThrow(
		`npm install --save-prod --ignore-scripts ${ONNX_PACKAGE}@`,
	);
});
