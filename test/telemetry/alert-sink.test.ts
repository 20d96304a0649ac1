import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, it, onTestFinished } from 'vitest';
import { createIds } from '../../src/base/ids.ts';
import { seededRandom } from '../../src/base/random.ts';
import { VirtualClock } from '../../src/base/virtual-clock.ts';
import type { Alert, AlertRecord } from '../../src/spec/alerts.ts';
import type { HealthRecords } from '../../src/spec/health-records.ts';
import { openSqliteHealth } from '../../src/stores/sqlite-health.ts';
import { AlertSink } from '../../src/telemetry/alert-sink.ts';

const ALERT: Alert = {
	key: 'index_damaged:docs',
	severity: 'ticket',
	subject: { collection: 'docs' },
	message: 'The index is damaged; plimsoll ingest docs builds a new one.',
	detail: { chunks: 7, reason: 'a row is gone', live: true, nothing: null },
};

function sinkOver(records: Pick<HealthRecords, 'putAlerts' | 'listAlerts'>, clock = new VirtualClock()) {
	const logged: AlertRecord[] = [];
	const warnings: string[] = [];
	const sink = new AlertSink({
		records,
		clock,
		newId: createIds(clock, seededRandom(1)),
		log: (alert) => logged.push(alert),
		warn: (message) => warnings.push(message),
	});
	return { sink, clock, logged, warnings };
}

function inMemory(): HealthRecords {
	const records = openSqliteHealth(':memory:');
	onTestFinished(() => records.close());
	return records;
}

it('one alert of a key is open: raising again counts, resolving ends it, and the next one is a new one', async () => {
	const { sink, logged } = sinkOver(inMemory());
	sink.resolve(ALERT.key);
	for (let n = 0; n < 3; n++) sink.raise(ALERT);
	const [open, ...others] = await sink.list({ open: true, limit: 10 });
	expect(others).toEqual([]);
	expect(open).toMatchObject({ ...ALERT, count: 3, resolvedAt: null });
	sink.resolve(ALERT.key);
	sink.resolve(ALERT.key);
	sink.raise(ALERT);
	const all = await sink.list({ open: false, limit: 10 });
	expect(all.map(({ count, resolvedAt }) => [count, resolvedAt === null])).toEqual([
		[1, true],
		[3, false],
	]);
	expect(new Set(all.map(({ id }) => id)).size).toBe(2);
	expect(logged.map(({ resolvedAt }) => resolvedAt === null)).toEqual([true, false, true]);
});

it('alerts about what is gone end, and the others stay', async () => {
	const { sink } = sinkOver(inMemory());
	const subjects = [{ collection: 'docs' }, { collection: 'wiki' }, { feature: 'docs' }, { embedder: 'docs' }];
	for (const [at, subject] of subjects.entries()) sink.raise({ ...ALERT, key: `rule:${at}`, subject });
	sink.resolveAbout((subject) => 'collection' in subject && subject.collection === 'docs');
	expect((await sink.list({ open: true, limit: 10 })).map(({ key }) => key).sort()).toEqual([
		'rule:1',
		'rule:2',
		'rule:3',
	]);
	const all = await sink.list({ open: false, limit: 10 });
	expect(all.filter(({ resolvedAt }) => resolvedAt !== null).map(({ key }) => key)).toEqual(['rule:0']);
});

it('an open alert may become worse, never milder', async () => {
	const { sink, logged } = sinkOver(inMemory());
	sink.raise(ALERT);
	sink.raise({ ...ALERT, severity: 'page' });
	sink.raise({ ...ALERT, message: 'Still damaged.' });
	expect(await sink.list({ open: true, limit: 1 })).toMatchObject([
		{ severity: 'page', count: 3, message: 'Still damaged.' },
	]);
	expect(logged.map(({ severity }) => severity)).toEqual(['ticket', 'page']);
	expect(sink.counts).toEqual([{ rule: 'index_damaged', severity: 'page', open: 1 }]);
});

it('what was raised is on disk after 100 ms, and after a restart it is open as it was', async () => {
	const dir = await mkdtemp(join(tmpdir(), 'plimsoll-alerts-'));
	onTestFinished(() => rm(dir, { recursive: true, force: true }));
	const open = () => {
		const records = openSqliteHealth(join(dir, 'records.sqlite'));
		onTestFinished(() => records.close());
		return records;
	};
	const before = sinkOver(open());
	before.sink.raise(ALERT);
	before.sink.raise({ ...ALERT, key: 'index_damaged:tickets' });
	before.sink.resolve('index_damaged:tickets');
	const [alert] = await before.sink.list({ open: true, limit: 1 });
	before.sink.acknowledge(alert?.id ?? '', 'key:k1');
	await before.clock.advance(100);
	// The process is killed here: nothing is flushed, nothing closed.
	const after = sinkOver(open());
	await after.sink.load();
	expect(await after.sink.list({ open: true, limit: 9 })).toEqual(await before.sink.list({ open: true, limit: 9 }));
	after.sink.raise(ALERT);
	expect(await after.sink.list({ open: true, limit: 9 })).toMatchObject([
		{ id: alert?.id, count: 2, acknowledgedBy: 'key:k1' },
	]);
	expect(after.logged).toEqual([]);
});

it('a disk that fails costs no alert: it is written when the disk is back, and one line says so', async () => {
	const records = inMemory();
	let isBroken = true;
	const { sink, clock, warnings } = sinkOver({
		putAlerts: (alerts) => (isBroken ? Promise.reject(new Error('disk full')) : records.putAlerts(alerts)),
		listAlerts: (ask) => records.listAlerts(ask),
	});
	for (let n = 0; n < 50; n++) {
		sink.raise({ ...ALERT, key: `index_damaged:${n}` });
		await clock.advance(1_000);
	}
	expect(await records.listAlerts({ open: true, limit: 99 })).toEqual([]);
	expect(warnings).toEqual([expect.stringContaining('disk full')]);
	isBroken = false;
	await clock.advance(10_000);
	expect(await records.listAlerts({ open: true, limit: 99 })).toHaveLength(50);
});

it('is bounded: open alerts, texts and details, and what is refused is told', async () => {
	const { sink, warnings } = sinkOver(inMemory());
	const detail = Object.fromEntries(Array.from({ length: 100 }, (_, n) => [`d${n}`, 'x'.repeat(9_000)]));
	for (let n = 0; n < 1_010; n++) sink.raise({ ...ALERT, key: `rule:${n}`, message: 'm'.repeat(9_000), detail });
	const open = await sink.list({ open: true, limit: 5_000 });
	expect(open).toHaveLength(1_000);
	expect(open[0]?.message).toHaveLength(2_000);
	expect(Object.values(open[0]?.detail ?? {})).toHaveLength(32);
	expect(warnings).toEqual([expect.stringContaining('1000 alerts are open')]);
	sink.resolve('rule:5');
	sink.raise({ ...ALERT, key: 'rule:new' });
	expect(await sink.list({ open: true, limit: 5_000 })).toHaveLength(1_000);
});

it('the records keep the latest 10,000 of those that are over, and every open one', async () => {
	const records = inMemory();
	const record = (n: number, resolvedAt: number | null): AlertRecord => ({
		...ALERT,
		key: `rule:${n}`,
		id: `alert_${String(n).padStart(6, '0')}`,
		openedAt: n,
		raisedAt: n,
		count: 1,
		acknowledgedAt: null,
		acknowledgedBy: null,
		resolvedAt,
		told: {},
	});
	await records.putAlerts([record(0, null), ...Array.from({ length: 10_005 }, (_, n) => record(n + 1, n + 2))]);
	const kept = await records.listAlerts({ open: false, limit: 20_000 });
	expect(kept).toHaveLength(10_001);
	expect(kept.at(-1)?.id).toBe('alert_000000');
	expect(kept.at(-2)?.id).toBe('alert_000006');
});

it('after any sequence of raises and resolves, what is open is what was raised last, and the records agree', async () => {
	const key = fc.constantFrom('a:1', 'a:2', 'b:1');
	const step = fc.record({ key, does: fc.constantFrom('raise', 'resolve', 'wait') });
	await fc.assert(
		fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
			const records = openSqliteHealth(':memory:');
			const { sink, clock } = sinkOver(records);
			const raised = new Map<string, number>();
			for (const { key, does } of steps) {
				if (does === 'wait') await clock.advance(60);
				if (does === 'resolve') {
					sink.resolve(key);
					raised.delete(key);
				}
				if (does === 'raise') {
					sink.raise({ ...ALERT, key });
					raised.set(key, (raised.get(key) ?? 0) + 1);
				}
			}
			await sink.flush();
			const told = await sink.list({ open: true, limit: 9 });
			const kept = await records.listAlerts({ open: true, limit: 9 });
			for (const open of [told, kept]) {
				expect(new Map(open.map(({ key, count }) => [key, count]))).toEqual(raised);
			}
			await clock.advance(20_000);
			expect(clock.pending).toBe(0);
			await records.close();
		}),
		{ numRuns: 100 },
	);
});
