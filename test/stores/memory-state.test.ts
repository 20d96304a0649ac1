import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it, onTestFinished } from 'vitest';
import { PlimsollError } from '../../src/spec/errors.ts';
import type { SharedState } from '../../src/spec/shared-state.ts';
import { MemoryState } from '../../src/stores/memory-state.ts';
import { openSqliteRecords } from '../../src/stores/sqlite.ts';
import { claim, sharedStateSuite } from './shared-state.suite.ts';

/** Replicas of an in-process state are one state: it lives in one process. */
sharedStateSuite('counters in process', {
	runs: 1_000,
	open: async (replicas) => {
		const state = new MemoryState();
		return Array.from({ length: replicas }, () => state);
	},
});

const CHILD = fileURLToPath(new URL('../support/spending-child.ts', import.meta.url));
const NOW = Date.UTC(2026, 11, 1, 12);
const spend = (state: SharedState, amount: number, max = 10_000, now = NOW) =>
	state.reserve({ tenantId: 'acme', claims: [claim('cost_usd_per_day', max, amount)], now, expiresAt: now + 1_000 });
const used = async (state: SharedState, now = NOW) =>
	(await state.usage('acme', [claim('cost_usd_per_day', 0)], now))[0]?.settled;

async function recordFile(): Promise<string> {
	const dir = await mkdtemp(join(tmpdir(), 'plimsoll-limits-'));
	onTestFinished(() => rm(dir, { recursive: true, force: true }));
	return join(dir, 'records.sqlite');
}

describe('costs of days and months in process', () => {
	it('a clean stop gives back exactly what was not used', async () => {
		const file = await recordFile();
		const records = openSqliteRecords(file);
		const state = await MemoryState.open(records, NOW);
		const reservation = await spend(state, 500);
		if (reservation.granted) await state.settle(reservation.ticket, [123], NOW);
		await state.close();
		await records.close();
		const again = openSqliteRecords(file);
		expect(await used(await MemoryState.open(again, NOW))).toBe(123);
		expect(await used(await MemoryState.open(again, NOW + 86_400_000))).toBe(0);
		await again.close();
	});

	it('a crash counts the block that was begun, never less than what was used, and passes no cap', async () => {
		const records = openSqliteRecords(await recordFile());
		onTestFinished(() => records.close());
		let spent = 0;
		for (let crashes = 0; crashes < 200; crashes++) {
			// Never closed: what a kill -9 leaves behind.
			const state = await MemoryState.open(records, NOW);
			const before = (await used(state)) ?? 0;
			expect(before).toBeGreaterThanOrEqual(spent);
			expect(before).toBeLessThanOrEqual(10_000);
			const reservation = await spend(state, 70);
			if (!reservation.granted) break;
			await state.settle(reservation.ticket, [40], NOW);
			spent += 40;
		}
		expect(spent).toBeGreaterThan(1_500);
		expect(spent).toBeLessThanOrEqual(10_000);
	});

	it('writes once for a block, not once for a request', async () => {
		const records = openSqliteRecords(await recordFile());
		onTestFinished(() => records.close());
		let writes = 0;
		const state = await MemoryState.open(
			{
				listAllowances: (now) => records.listAllowances(now),
				putAllowances: (rows) => {
					writes++;
					return records.putAllowances(rows);
				},
			},
			NOW,
		);
		for (let n = 0; n < 1_000; n++) {
			const reservation = await spend(state, 10, 1_000_000);
			if (reservation.granted) await state.settle(reservation.ticket, [10], NOW);
		}
		expect(writes).toBe(1);
	});

	it('an organisation’s cost outlives the process, whichever of its tenants spent it', async () => {
		const records = openSqliteRecords(await recordFile());
		onTestFinished(() => records.close());
		const claims = [claim('cost_usd_per_day', 100, 40, 'organisation:globex')];
		const spendAs = (state: SharedState, tenantId: string) =>
			state.reserve({ tenantId, claims, now: NOW, expiresAt: NOW + 1_000 });
		for (const tenantId of ['acme', 'beta']) {
			const state = await MemoryState.open(records, NOW);
			const reservation = await spendAs(state, tenantId);
			if (reservation.granted) await state.settle(reservation.ticket, [40], NOW);
			await state.close();
		}
		const again = await MemoryState.open(records, NOW);
		expect(await spendAs(again, 'gamma')).toMatchObject({ granted: false, refusal: { used: 80 } });
	});

	it('gives out no money that could not be written down', async () => {
		const state = await MemoryState.open(
			{
				listAllowances: async () => [],
				putAllowances: () => Promise.reject(new PlimsollError('storage_failed', 'the disk is full')),
			},
			NOW,
		);
		await expect(spend(state, 10)).rejects.toMatchObject({ code: 'storage_failed' });
		expect(await state.usage('acme', [claim('cost_usd_per_day', 0)], NOW)).toEqual([{ settled: 0, reserved: 0 }]);
	});

	it('outlive kill -9: no process after it can spend again what was spent before', async () => {
		const file = await recordFile();
		const max = 1_000_000;
		let spent = 0;
		for (let crash = 0; crash < 5; crash++) {
			const child = spawn(process.execPath, [CHILD, file, String(NOW), String(max)], {
				stdio: ['ignore', 'pipe', 'inherit'],
			});
			let said = '';
			child.stdout.setEncoding('utf8').on('data', (text: string) => {
				said += text;
				if (said.length > 20_000 * (crash + 1)) child.kill('SIGKILL');
			});
			await once(child, 'close');
			expect(child.signalCode).toBe('SIGKILL');
			spent += Number(said.slice(0, said.lastIndexOf('\n')).split('\n').at(-1));
			const records = openSqliteRecords(file);
			const counted = (await used(await MemoryState.open(records, NOW))) ?? 0;
			await records.close();
			expect(counted).toBeGreaterThanOrEqual(spent);
			expect(counted).toBeLessThanOrEqual(max);
		}
		expect(spent).toBeGreaterThan(0);
	});
});
