import { afterEach, describe, expect, it } from 'vitest';
import { seededRandom } from '../../src/base/random.ts';
import { VirtualClock } from '../../src/base/virtual-clock.ts';
import { EmbedderPool } from '../../src/retrieval/embedding/embedder-pool.ts';
import type { EmbeddingSpace } from '../../src/retrieval/embedding/embedding-space.ts';
import { measure } from '../../src/retrieval/embedding/measure.ts';
import { Measurements } from '../../src/retrieval/embedding/measurements.ts';
import { SpaceWatch } from '../../src/retrieval/embedding/space-watch.ts';
import type { Alert } from '../../src/spec/alerts.ts';
import { UpstreamError } from '../../src/spec/model.ts';
import { openAiEmbedder } from '../support/embedder-fixture.ts';
import { type ModelDouble, modelDouble } from '../support/embedding-model.ts';

const HOUR_MS = 3_600_000;
const cleanups: (() => Promise<void> | void)[] = [];
afterEach(async () => {
	for (const clean of cleanups.splice(0)) await clean();
});

async function start(
	model: ModelDouble,
	{
		space,
		checkIntervalMs = null,
		seed = 1,
	}: { space?: EmbeddingSpace; checkIntervalMs?: number | null; seed?: number } = {},
) {
	const clock = new VirtualClock();
	const random = seededRandom(seed);
	const pool: EmbedderPool = new EmbedderPool({
		clock,
		random,
		cacheDir: '/nonexistent',
		openModel: async () => model,
		onServed: (name) => watch.served(name),
	});
	await pool.update(
		new Map([
			[
				'remote',
				openAiEmbedder('http://embed.test/v1', { checkIntervalMs, dimensions: model.dimensions, tokensMax: 512 }),
			],
		]),
	);
	const embedder = await pool.get('remote');
	const built = space ?? { identity: embedder.identity, fingerprint: await measure(embedder, { signal: null }) };
	const measurements = new Measurements(clock);
	const alerts = new Map<string, Alert>();
	const raised: Alert[] = [];
	const watch: SpaceWatch = new SpaceWatch({
		pool,
		measurements,
		indexes: () => [
			{
				collection: 'docs',
				generation: 'docs-g1',
				space: built,
				policy: 'its searches are refused',
				remedy: async () => 'Do so.',
			},
		],
		clock,
		random,
		alerts: {
			raise: (alert) => {
				raised.push(alert);
				alerts.set(alert.key, alert);
			},
			resolve: (key) => alerts.delete(key),
		},
		warn: () => {},
	});
	cleanups.push(() => watch.stop());
	model.calls.length = 0;
	watch.start();
	return { clock, watch, alerts, raised, built, embedder, measurements };
}

/** The provider's vectors with each number changed. */
function changing(model: ModelDouble, change: (value: number, at: number, row: readonly number[]) => number) {
	const { answer } = model;
	model.answer = async (call) => {
		const answered = await answer(call);
		return { ...answered, rows: answered.rows.map((row) => (row as readonly number[]).map(change)) };
	};
}

describe('an embedder that is watched', () => {
	it('raises no false alarm in a thousand starts, rounded to 3 decimals or summed in another order', async () => {
		const exact = modelDouble(384);
		const { built } = await start(exact);
		const rounding = modelDouble(384);
		changing(rounding, (value) => Math.round(value * 1_000) / 1_000);
		const noise = seededRandom(7);
		const batching = modelDouble(384);
		changing(batching, (value) => value * (1 + (noise.next() - 0.5) * 1e-5));
		for (let run = 0; run < 1_000; run++) {
			const model = run % 2 === 0 ? rounding : batching;
			const identity = { ...built.identity };
			const { watch, raised } = await start(model, { space: { identity, fingerprint: built.fingerprint }, seed: run });
			await watch.check('remote');
			expect(raised).toEqual([]);
			expect(watch.status('remote').problem).toBeNull();
			watch.stop();
		}
	}, 120_000);

	it('tells of other weights once a second measurement has found them too, and that it is over', async () => {
		const model = modelDouble();
		const { clock, alerts, watch } = await start(model);
		await clock.advance(0);
		const { answer } = model;
		changing(model, (_, at, row) => row[row.length - 1 - at] ?? 0);
		const checking = watch.check('remote');
		await clock.advance(1_999);
		expect(alerts.size).toBe(0);
		await clock.advance(1);
		await checking;
		expect(alerts.get('embedding_identity:docs')).toMatchObject({
			severity: 'page',
			subject: { collection: 'docs' },
			detail: { generation: 'docs-g1', embedder: 'remote', difference: 'weights' },
			message: expect.stringMatching(/other weights under the same name.*its searches are refused\. Do so\./),
		});
		model.answer = answer;
		await watch.check('remote');
		expect(alerts.size).toBe(0);
	});

	it('does not believe one measurement alone', async () => {
		const model = modelDouble();
		const { clock, raised, watch } = await start(model);
		await clock.advance(0);
		const { answer } = model;
		changing(model, (_, at, row) => row[row.length - 1 - at] ?? 0);
		const checking = watch.check('remote');
		await clock.advance(1_000);
		model.answer = answer;
		await clock.advance(1_000);
		await checking;
		expect(raised).toEqual([]);
	});

	it('takes a failure for no change: says why, measures again with growing waits, keeps what it knew', async () => {
		const model = modelDouble();
		const { clock, raised, watch } = await start(model, { checkIntervalMs: HOUR_MS });
		await clock.advance(0);
		const known = watch.status('remote').measuredAt;
		const { answer } = model;
		model.answer = () => {
			throw new UpstreamError('server_error', 'remote', 'remote answered 503', { status: 503 });
		};
		await clock.advance(1.2 * HOUR_MS);
		expect(watch.status('remote')).toMatchObject({ problem: expect.stringContaining('status 503'), measuredAt: known });
		const tries = model.calls.length;
		expect(tries).toBeGreaterThan(4);
		expect(tries).toBeLessThan(40);
		model.answer = answer;
		await clock.advance(HOUR_MS);
		expect(watch.status('remote').problem).toBeNull();
		expect(watch.status('remote').measuredAt).toBeGreaterThan(known ?? 0);
		expect(raised).toEqual([]);
	});

	it('tells of vectors of another length, which no measurement can compare', async () => {
		const model = modelDouble();
		const { clock, alerts } = await start(model, { checkIntervalMs: HOUR_MS });
		await clock.advance(0);
		model.answer = ({ texts }) => ({ rows: texts.map(() => Array(32).fill(1)), tokens: 1, served: null });
		await clock.advance(1.5 * HOUR_MS);
		expect(alerts.get('embedding_identity:docs')).toMatchObject({
			detail: { difference: 'dimensions' },
			message: expect.stringContaining('it sends 32 dimensions instead of 64'),
		});
	});

	it('is measured on its schedule, and within a minute when its provider serves something else', async () => {
		const model = modelDouble();
		const { clock, embedder, watch } = await start(model, { checkIntervalMs: HOUR_MS });
		await clock.advance(10 * HOUR_MS);
		const measured = model.calls.length / 3;
		expect(measured).toBeGreaterThanOrEqual(10);
		expect(measured).toBeLessThanOrEqual(13);
		const { answer } = model;
		model.answer = async (call) => ({ ...(await answer(call)), served: 'm-2025' });
		const before = model.calls.length;
		await embedder.embed(['a question'], 'query', { signal: null });
		await clock.advance(60_000);
		expect(model.calls.length).toBe(before + 1 + 3);
		expect(watch.status('remote').nextMs).toBeGreaterThan(0);
	});

	it('tells the length of vectors that the provider begins to scale, and sees no other space in it', async () => {
		const model = modelDouble();
		changing(model, (value) => value * 17);
		const { clock, watch, measurements, embedder, raised } = await start(modelDouble());
		await clock.advance(0);
		expect(watch.status('remote').measurement?.fingerprint.lengthMax).toBeCloseTo(1, 4);
		const scaled = await start(model);
		await scaled.watch.check('remote');
		expect(scaled.watch.status('remote').measurement?.fingerprint.lengthMin).toBeCloseTo(17, 3);
		expect([...raised, ...scaled.raised]).toEqual([]);
		expect(measurements.latest(embedder)).not.toBeNull();
	});

	it('finds vectors that are normalised in another way, so that they point elsewhere', async () => {
		const model = modelDouble();
		const { clock, alerts, watch } = await start(model);
		await clock.advance(0);
		// Numbers of which the mean is taken away.
		changing(model, (value, _, row) => value - row.reduce((sum, one) => sum + one, 0) / row.length);
		const checking = watch.check('remote');
		await clock.advance(2_000);
		await checking;
		expect(alerts.get('embedding_identity:docs')).toMatchObject({ detail: { difference: 'weights' } });
	});
});
