import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import { expect, onTestFinished, test } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { openTraceStore } from '../../src/telemetry/trace-store.ts';
import { sampleTrace } from './sample-trace.ts';

/** Columns that the first format lacked. */
const LATER = ['flags', 'flag_reasons', 'client_retries', 'tokens_cache_written', 'tokens_reasoning'];

test('a file of the first format takes new traces, and its old ones can be read', async () => {
	const dir = await mkdtemp(join(tmpdir(), 'plimsoll-traces-'));
	onTestFinished(() => rm(dir, { recursive: true, force: true }));
	const file = join(dir, 'traces.duckdb');
	const open = () => openTraceStore({ file, clock: systemClock, retentionDays: 3_650, warn: () => {} });
	const old = sampleTrace({ request_id: 'req_old', started_at: systemClock.now() });
	const before = await open();
	before.record(old);
	await before.flush();
	await before.close();

	const instance = await DuckDBInstance.create(file);
	const connection = await instance.connect();
	for (const column of LATER) await connection.run(`ALTER TABLE requests DROP COLUMN ${column}`);
	await connection.run('ALTER TABLE attempts DROP COLUMN kind');
	await connection.run('UPDATE plimsoll_format SET format = 1');
	connection.closeSync();
	instance.closeSync();

	const after = await open();
	onTestFinished(() => after.close());
	const flags = {
		flags: { 'answer-route': 'careful', open: null },
		flag_reasons: { 'answer-route': 'SPLIT', open: 'ERROR' },
	};
	const fresh = sampleTrace({ request_id: 'req_new', started_at: systemClock.now(), ...flags });
	after.record(fresh);
	await after.flush();
	expect(await after.find('req_new', null)).toEqual(fresh);
	expect(await after.find('req_old', null)).toEqual({
		...{ ...old, flags: {}, flag_reasons: {}, client_retries: 0 },
		steps: old.steps.map((step) => ({ ...step, attempts: step.attempts.map((one) => ({ ...one, kind: null })) })),
	});
});
