import { MemoryState } from '../../src/stores/memory-state.ts';
import { openSqliteRecords } from '../../src/stores/sqlite.ts';

/** Spends money in process for ever, and says after each call what it has spent: for tests that kill it. */
const [file = '', now = '0', max = '0'] = process.argv.slice(2);
const NOW = Number(now);
const state = await MemoryState.open(openSqliteRecords(file), NOW);
let spent = 0;
for (;;) {
	const claims = [{ scope: 'tenant', limit: 'cost_usd_per_day' as const, max: Number(max), amount: 9 }];
	const reservation = await state.reserve({ tenantId: 'acme', claims, now: NOW, expiresAt: NOW + 1_000 });
	if (!reservation.granted) break;
	await state.settle(reservation.ticket, [7], NOW);
	spent += 7;
	if (!process.stdout.write(`${spent}\n`)) await new Promise((resume) => process.stdout.once('drain', resume));
}
process.stdout.write('exhausted\n');
