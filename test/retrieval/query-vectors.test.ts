import { describe, expect, it } from 'vitest';
import { VirtualClock } from '../../src/base/virtual-clock.ts';
import { Measurements } from '../../src/retrieval/embedding/measurements.ts';
import { QueryVectors } from '../../src/retrieval/embedding/query-vectors.ts';
import { UpstreamError } from '../../src/spec/model.ts';
import { embedderPool, openAiEmbedder } from '../support/embedder-fixture.ts';
import { modelDouble } from '../support/embedding-model.ts';

const NEVER = new AbortController().signal;

async function start(bytesMax?: number) {
	const model = modelDouble();
	const clock = new VirtualClock();
	const pool = await embedderPool([openAiEmbedder('http://embed.test/v1')], { clock, openModel: async () => model });
	const measurements = new Measurements(clock);
	return { model, embedder: await pool.get('remote'), vectors: new QueryVectors(measurements, bytesMax), measurements };
}

describe('vectors of queries', () => {
	it('are made once, and known from then on', async () => {
		const { model, embedder, vectors } = await start();
		const first = await vectors.get(embedder, 'load line', NEVER);
		const again = await vectors.get(embedder, 'load line', NEVER);
		expect([first.cached, again.cached]).toEqual([false, true]);
		expect(again.vector).toEqual(first.vector);
		expect(model.calls).toHaveLength(1);
		expect(vectors.stats).toMatchObject({ entries: 1, hits: 1, misses: 1 });
	});

	it('are asked for once by many at the same time, also when the first of them leaves', async () => {
		const { model, embedder, vectors } = await start();
		const { answer } = model;
		const gate = Promise.withResolvers<void>();
		model.answer = async (call) => {
			await gate.promise;
			return answer(call);
		};
		const left = new AbortController();
		const first = vectors.get(embedder, 'load line', left.signal);
		const others = Array.from({ length: 20 }, () => vectors.get(embedder, 'load line', NEVER));
		left.abort(new Error('left'));
		await expect(first).rejects.toThrow('left');
		gate.resolve();
		for (const { vector } of await Promise.all(others)) expect(vector).toHaveLength(64);
		expect(model.calls).toHaveLength(1);
	});

	it('are no longer asked for when nobody waits for them', async () => {
		const { model, embedder, vectors } = await start();
		model.answer = ({ signal }) =>
			new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason), { once: true }));
		const left = new AbortController();
		const asked = vectors.get(embedder, 'load line', left.signal);
		left.abort(new Error('left'));
		await expect(asked).rejects.toThrow('left');
		await expect.poll(() => model.calls[0]?.signal.aborted).toBe(true);
		expect(vectors.stats.entries).toBe(0);
	});

	it('take no more memory than they may, and the one that was used longest ago goes first', async () => {
		const { model, embedder, vectors } = await start(3 * (64 * 4 + 256));
		for (const text of ['a', 'b', 'c', 'a', 'd']) await vectors.get(embedder, text, NEVER);
		expect(vectors.stats.entries).toBe(3);
		const asked = model.calls.length;
		expect((await vectors.get(embedder, 'a', NEVER)).cached).toBe(true);
		expect((await vectors.get(embedder, 'b', NEVER)).cached).toBe(false);
		expect(model.calls).toHaveLength(asked + 1);
	});

	it('are made anew when another space is measured, and not when the same is', async () => {
		const { model, embedder, vectors, measurements } = await start();
		await measurements.measure(embedder);
		await vectors.get(embedder, 'load line', NEVER);
		await measurements.measure(embedder);
		expect((await vectors.get(embedder, 'load line', NEVER)).cached).toBe(true);
		const { answer } = model;
		model.answer = async (call) => {
			const answered = await answer(call);
			return { ...answered, rows: answered.rows.map((row) => (row as readonly number[]).toReversed()) };
		};
		await measurements.measure(embedder);
		expect((await vectors.get(embedder, 'load line', NEVER)).cached).toBe(false);
	});

	it('of a text that failed are not remembered', async () => {
		const { model, embedder, vectors } = await start();
		const { answer } = model;
		model.answer = () => {
			throw new UpstreamError('bad_request', 'remote', 'remote answered 400', { status: 400 });
		};
		await expect(vectors.get(embedder, 'load line', NEVER)).rejects.toMatchObject({ code: 'retrieval_failed' });
		model.answer = answer;
		expect((await vectors.get(embedder, 'load line', NEVER)).vector).toHaveLength(64);
	});
});
