import { describe, expect, it } from 'vitest';
import { type Random, seededRandom } from '../../src/base/random.ts';
import type { Claim, LimitName, Reservation, SharedState, Ticket } from '../../src/spec/shared-state.ts';

/** A minute, a day and a month begin at this instant: 2026-12-01 00:00 UTC. */
const START = Date.UTC(2026, 11, 1);
const DAY_MS = 86_400_000;
const SHARED = 'organisation:globex';

export interface StateSubject {
	/** A state with empty counters. Several on one backend when `replicas` is above one. */
	open(replicas: number): Promise<readonly SharedState[]>;
	/** Seeded interleavings that the property tries. */
	readonly runs: number;
}

export function claim(limit: LimitName, max: number, amount = 1, scope = 'tenant'): Claim {
	return { scope, limit, max, amount };
}

function granted(reservation: Reservation): Ticket {
	if (!reservation.granted) throw new Error(`refused: ${JSON.stringify(reservation.refusal)}`);
	return reservation.ticket;
}

/** What every backend of the port must do. Time is an argument: nothing here waits. */
export function sharedStateSuite(name: string, subject: StateSubject): void {
	const one = async () => (await subject.open(1))[0] as SharedState;
	const ask = (state: SharedState, claims: readonly Claim[], now = START, lifeMs = 30_000) =>
		state.reserve({ tenantId: 'acme', claims, now, expiresAt: now + lifeMs });

	describe(name, () => {
		it('grants up to the limit, then refuses and says how long to wait', async () => {
			const state = await one();
			for (let n = 0; n < 3; n++) granted(await ask(state, [claim('requests_per_minute', 3)], START + n));
			const refused = await ask(state, [claim('requests_per_minute', 3)], START + 10);
			expect(refused).toMatchObject({
				granted: false,
				refusal: { claim: { scope: 'tenant', limit: 'requests_per_minute' }, used: 3, waitMs: 64_990 },
			});
			granted(await ask(state, [claim('requests_per_minute', 3)], START + 10 + 64_990));
		});

		it('never counts more than the limit in any sixty seconds', async () => {
			const state = await one();
			const random = seededRandom(7);
			const admitted: number[] = [];
			for (let now = START; now < START + 300_000; now += Math.floor(random.next() * 400)) {
				if ((await ask(state, [claim('requests_per_minute', 50)], now)).granted) admitted.push(now);
			}
			for (const [at, first] of admitted.entries()) {
				expect(admitted.slice(at).filter((time) => time < first + 60_000).length).toBeLessThanOrEqual(50);
			}
			expect(admitted.length).toBeGreaterThan(200);
		});

		it('grants all claims or none, and names the one that takes longest', async () => {
			const state = await one();
			const both = [claim('tokens_per_minute', 100, 60), claim('cost_usd_per_day', 100, 60)];
			granted(await ask(state, both));
			const refused = await ask(state, [
				claim('tokens_per_minute', 100, 60),
				claim('cost_usd_per_day', 100, 60),
				claim('tokens_per_minute', 1000, 60, 'feature:f'),
			]);
			// The reservation may expire before the day ends.
			expect(refused).toMatchObject({ granted: false, refusal: { claim: { limit: 'tokens_per_minute' } } });
			const counters = [claim('tokens_per_minute', 0, 0, 'feature:f'), claim('cost_usd_per_day', 0)];
			expect(await state.usage('acme', counters, START)).toEqual([
				{ settled: 0, reserved: 0 },
				{ settled: 0, reserved: 60 },
			]);
		});

		it('says that waiting is no use when a claim alone is above its limit', async () => {
			const refused = await ask(await one(), [claim('tokens_per_minute', 100, 101)]);
			expect(refused).toMatchObject({ granted: false, refusal: { waitMs: null } });
		});

		it('puts what was used in place of what was reserved, and gives back what was not', async () => {
			const state = await one();
			const ticket = granted(await ask(state, [claim('cost_usd_per_day', 100, 90), claim('concurrent_requests', 1)]));
			expect((await ask(state, [claim('cost_usd_per_day', 100, 20)])).granted).toBe(false);
			const standings = await state.settle(ticket, [30, 0], START + 1);
			expect(standings).toMatchObject([
				{ limit: 'cost_usd_per_day', used: 30, max: 100 },
				{ limit: 'concurrent_requests', used: 0 },
			]);
			const rest = granted(await ask(state, [claim('cost_usd_per_day', 100, 70), claim('concurrent_requests', 1)]));
			await state.release(rest, START + 2);
			expect(await state.usage('acme', [claim('cost_usd_per_day', 0)], START + 2)).toEqual([
				{ settled: 30, reserved: 0 },
			]);
		});

		it('counts in full what was used beyond the reservation', async () => {
			const state = await one();
			const ticket = granted(await ask(state, [claim('tokens_per_minute', 100, 10)]));
			await state.settle(ticket, [150], START + 1);
			expect((await ask(state, [claim('tokens_per_minute', 100, 1)], START + 2)).granted).toBe(false);
		});

		it('forgets reservations whose holder never came back, and charges one that comes late', async () => {
			const state = await one();
			const ticket = granted(await ask(state, [claim('cost_usd_per_day', 100, 100)]));
			expect((await ask(state, [claim('cost_usd_per_day', 100, 1)], START + 29_999)).granted).toBe(false);
			const later = START + 30_000;
			granted(await ask(state, [claim('cost_usd_per_day', 100, 40)], later));
			await state.settle(ticket, [50], later);
			expect(await state.usage('acme', [claim('cost_usd_per_day', 0)], later)).toEqual([{ settled: 50, reserved: 40 }]);
		});

		it('keeps the day that has ended for replicas whose clock has not seen midnight', async () => {
			const state = await one();
			const midnight = Date.UTC(2026, 11, 1);
			granted(await ask(state, [claim('cost_usd_per_day', 100, 80)], midnight - 300));
			// One clock is ahead and begins the new day; for the other the old one is not over.
			granted(await ask(state, [claim('cost_usd_per_day', 100, 10)], midnight + 200));
			const behind = await ask(state, [claim('cost_usd_per_day', 100, 80)], midnight - 200);
			expect(behind).toMatchObject({ granted: false });
		});

		it('begins days and months anew at midnight UTC, and charges a call to the day in which it began', async () => {
			const state = await one();
			const late = START + DAY_MS - 1_000;
			const claims = [claim('cost_usd_per_day', 100, 80), claim('cost_usd_per_month', 1000, 80)];
			const ticket = granted(await ask(state, claims, late));
			const tomorrow = START + DAY_MS + 1;
			granted(await ask(state, [claim('cost_usd_per_day', 100, 100)], tomorrow));
			await state.settle(ticket, [80, 80], tomorrow);
			expect(await state.usage('acme', claims, tomorrow)).toEqual([
				{ settled: 0, reserved: 100 },
				{ settled: 80, reserved: 0 },
			]);
		});

		it('keeps tenants and scopes apart', async () => {
			const state = await one();
			granted(await ask(state, [claim('concurrent_requests', 1)]));
			granted(await ask(state, [claim('concurrent_requests', 1, 1, 'key:a')]));
			const claims = [claim('concurrent_requests', 1)];
			granted(await state.reserve({ tenantId: 'other', claims, now: START, expiresAt: START + 1 }));
		});

		it('shares an organisation’s counter between its tenants, and takes all of a request’s claims or none', async () => {
			const [one, other] = (await subject.open(2)) as [SharedState, SharedState];
			const of = (tenantId: string, amount: number, max = 100) => {
				const claims = [
					claim('cost_usd_per_day', max, amount, 'organisation:globex'),
					claim('cost_usd_per_day', 90, amount),
				];
				return { tenantId, claims, now: START, expiresAt: START + 30_000 };
			};
			const ticket = granted(await one.reserve(of('acme', 60)));
			// The tenant alone has room for it; the organisation has not.
			expect(await other.reserve(of('beta', 60))).toMatchObject({
				granted: false,
				refusal: { claim: { scope: 'organisation:globex' }, used: 60 },
			});
			expect(await other.usage('beta', [claim('cost_usd_per_day', 0)], START)).toEqual([{ settled: 0, reserved: 0 }]);
			await other.settle(ticket, [20, 20], START);
			granted(await one.reserve(of('beta', 80)));
			const shared = [claim('cost_usd_per_day', 0, 0, 'organisation:globex')];
			for (const tenantId of ['acme', 'beta', '']) {
				expect(await one.usage(tenantId, shared, START)).toEqual([{ settled: 20, reserved: 80 }]);
			}
			// Another organisation, and a tenant of the same name, count for themselves.
			const name = [claim('cost_usd_per_day', 1, 1, 'organisation:initech'), claim('cost_usd_per_day', 1)];
			granted(await other.reserve({ tenantId: 'globex', claims: name, now: START, expiresAt: START + 1 }));
		});

		it('keeps what a tenant used when it changes its organisation', async () => {
			const state = await one();
			const of = (organisation: string) => [
				claim('cost_usd_per_month', 1000, 70, `organisation:${organisation}`),
				claim('cost_usd_per_month', 100, 70),
			];
			await state.settle(granted(await ask(state, of('globex'))), [70, 70], START);
			expect(await ask(state, of('initech'))).toMatchObject({
				granted: false,
				refusal: { claim: { scope: 'tenant' } },
			});
		});

		it('answers with how things stand for a claim of nothing, even above the limit', async () => {
			const state = await one();
			granted(await ask(state, [claim('tokens_per_minute', 10, 10)]));
			expect(await ask(state, [claim('tokens_per_minute', 5, 0)])).toMatchObject({
				granted: true,
				standings: [{ used: 10, max: 5 }],
			});
		});

		it('exact in amounts of money far beyond 32 bits', async () => {
			const state = await one();
			const max = 9_000_000_000_000_001;
			const ticket = granted(await ask(state, [claim('cost_usd_per_month', max, max)]));
			expect((await ask(state, [claim('cost_usd_per_month', max, 1)])).granted).toBe(false);
			await state.settle(ticket, [max - 1], START);
			granted(await ask(state, [claim('cost_usd_per_month', max, 1)]));
			expect((await ask(state, [claim('cost_usd_per_month', max, 1)])).granted).toBe(false);
		});

		it(`never passes a cap and refuses nothing that fits, in ${subject.runs} seeded interleavings`, async () => {
			for (let seed = 1; seed <= subject.runs; seed++) await interleave(subject, seed);
		}, 300_000);

		it('admits exactly the first 50 of 200 at once, and the others once those have settled for less', async () => {
			const states = await subject.open(2);
			const each = [claim('cost_usd_per_day', 50, 1), claim('requests_per_minute', 1000)];
			const asked = await Promise.all(
				Array.from({ length: 200 }, (_, n) => ask(states[n % states.length] as SharedState, each)),
			);
			const tickets = asked.flatMap((reservation) => (reservation.granted ? [reservation.ticket] : []));
			expect(tickets).toHaveLength(50);
			await Promise.all(tickets.map((ticket) => (states[0] as SharedState).settle(ticket, [0, 0], START)));
			expect((await ask(states[0] as SharedState, [claim('cost_usd_per_day', 50, 50)])).granted).toBe(true);
		});
	});
}

/**
 * One seeded history of reservations, settlements, releases, crashes and passing time, checked against a plain list
 * of everything that was ever granted.
 */
async function interleave(subject: StateSubject, seed: number): Promise<void> {
	const random = seededRandom(seed);
	const states = await subject.open(2);
	const draw = (most: number) => Math.floor(random.next() * most);
	const day = 40 + draw(60);
	const places = 1 + draw(5);
	let now = START + draw(50_000);
	let settled = 0;
	const held: { ticket: Ticket; amount: number }[] = [];
	for (let step = 0; step < 30; step++) {
		const batch = Array.from({ length: 1 + draw(4) }, () => operation(random));
		const reserved = () => held.filter(({ ticket }) => ticket.expiresAt > now);
		await Promise.all(
			batch.map(async (kind, at) => {
				const state = states[at % states.length] as SharedState;
				if (kind === 'reserve') {
					const amount = draw(30);
					const claims = [claim('cost_usd_per_day', day, amount, SHARED), claim('concurrent_requests', places)];
					// Two tenants of one organisation: money is shared, places are the first one's alone.
					const tenantId = draw(3) === 0 ? 'beta' : 'acme';
					if (tenantId === 'beta') claims.pop();
					const reservation = await state.reserve({ tenantId, claims, now, expiresAt: now + 1 + draw(20_000) });
					if (reservation.granted) held.push({ ticket: reservation.ticket, amount });
				} else if (held.length > 0) {
					const [one] = held.splice(draw(held.length), 1);
					if (!one) return;
					const actual = kind === 'release' ? 0 : draw(one.amount + 1);
					if (one.ticket.expiresAt <= now) return; // A crashed process never settles.
					settled += actual;
					await (kind === 'release' ? state.release(one.ticket, now) : state.settle(one.ticket, [actual, 0], now));
				}
			}),
		);
		const inUse = reserved().reduce((sum, { amount }) => sum + amount, 0);
		const counters = [claim('cost_usd_per_day', 0, 0, SHARED), claim('concurrent_requests', 0)];
		const inside = reserved().filter(({ ticket }) => ticket.tenantId === 'acme').length;
		const usage = await (states[0] as SharedState).usage('acme', counters, now);
		expect(usage, `seed ${seed}, step ${step}`).toEqual([
			{ settled, reserved: inUse },
			{ settled: 0, reserved: inside },
		]);
		expect(settled + inUse, `seed ${seed}, step ${step}`).toBeLessThanOrEqual(day);
		expect(inside, `seed ${seed}, step ${step}`).toBeLessThanOrEqual(places);
		// Nothing that fits is refused.
		const fits = [claim('cost_usd_per_day', day, day - settled - inUse, SHARED)];
		const probe = await (states[1] as SharedState).reserve({ tenantId: 'acme', claims: fits, now, expiresAt: now + 1 });
		expect(probe.granted, `seed ${seed}, step ${step}`).toBe(true);
		if (probe.granted) await (states[1] as SharedState).release(probe.ticket, now);
		now += draw(3_000);
	}
}

function operation(random: Random): 'reserve' | 'settle' | 'release' {
	const drawn = random.next();
	return drawn < 0.55 ? 'reserve' : drawn < 0.85 ? 'settle' : 'release';
}
