import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { sleep } from '../../src/base/clock.ts';
import { VirtualClock } from '../../src/base/virtual-clock.ts';
import type { AdmissionConfig } from '../../src/contracts/project.ts';
import { type Place, type PlaceAsk, Places } from '../../src/runtime/places.ts';
import { PlimsollError } from '../../src/spec/errors.ts';
import type { Priority } from '../../src/spec/priority.ts';
import type { Refusal } from '../../src/spec/shared-state.ts';

const RULES: AdmissionConfig = {
	concurrentRequestsMax: 2,
	adaptiveMin: null,
	queuedPerTenantMax: 50,
	queuedMax: 200,
	bufferedBytesMax: 1_000_000,
};

function placesOf(clock: VirtualClock, change: Partial<AdmissionConfig> = {}, isShared = false): Places {
	return new Places({ clock, isShared: () => isShared }, { ...RULES, ...change });
}

function ask(change: Partial<PlaceAsk> = {}): PlaceAsk {
	return {
		tenantId: 'acme',
		weight: 1,
		priority: 'interactive',
		remainingMs: 10_000,
		signal: new AbortController().signal,
		leases: null,
		...change,
	};
}

/** Places of a limit, as a shared state counts them. */
class Limit {
	held = 0;
	asked = 0;
	readonly #max: number;

	constructor(max: number) {
		this.#max = max;
	}

	get leases(): NonNullable<PlaceAsk['leases']> {
		return {
			scopes: ['tenant'],
			take: async () => {
				this.asked++;
				if (this.held < this.#max) {
					this.held++;
					return null;
				}
				const claim = { scope: 'tenant', limit: 'concurrent_requests' as const, max: this.#max, amount: 1 };
				return { claim, used: this.held, waitMs: 1000 } satisfies Refusal;
			},
			refused: () => new PlimsollError('rate_limited', 'all places are taken', { retryAfterMs: 1000 }),
		};
	}
}

/** What became of a promise so far. */
function watch(promise: Promise<Place>): { place: Place | null; code: string | null } {
	const seen: { place: Place | null; code: string | null } = { place: null, code: null };
	promise.then(
		(place) => {
			seen.place = place;
		},
		(error: PlimsollError) => {
			seen.code = error.code;
		},
	);
	return seen;
}

describe('the queue for a place', () => {
	it('lets as many run as may, and hands a place that comes free to whoever waits longest', async () => {
		const clock = new VirtualClock();
		const places = placesOf(clock);
		const running = [await places.enter(ask()), await places.enter(ask())];
		const waiting = [watch(places.enter(ask())), watch(places.enter(ask()))];
		await clock.advance(30);
		expect(waiting.map(({ place }) => place)).toEqual([null, null]);
		running[0]?.leave();
		await clock.advance(0);
		expect(waiting[0]?.place).toMatchObject({ queuedMs: 30, position: 1 });
		expect(waiting[1]?.place).toBeNull();
		running[1]?.leave();
		// Giving back twice gives nobody a place that is not there.
		running[1]?.leave();
		await clock.advance(0);
		expect(waiting[1]?.place).toMatchObject({ position: 2 });
		expect(places.running).toBe(2);
		expect(clock.pending).toBe(0);
	});

	it('gives nothing away to who queued before anything was measured', async () => {
		const clock = new VirtualClock();
		const places = placesOf(clock, { concurrentRequestsMax: 1 });
		let current = await places.enter(ask());
		const order: string[] = [];
		const enter = (tenantId: string) =>
			places.enter(ask({ tenantId })).then((place) => {
				order.push(tenantId);
				current = place;
			});
		const next = async () => {
			await clock.advance(100);
			current.leave();
			await clock.advance(0);
		};
		const all = Array.from({ length: 20 }, () => enter('flood'));
		await next();
		all.push(enter('quiet'));
		while (order.at(-1) !== 'quiet') await next();
		all.push(enter('quiet'));
		const before = order.length;
		while (order.slice(before).at(-1) !== 'quiet') await next();
		expect(order.length - before).toBeLessThanOrEqual(3);
		while (order.length < all.length) await next();
		await Promise.all(all);
	});

	it('shares what comes free by weight, not by who floods', async () => {
		const clock = new VirtualClock();
		const places = placesOf(clock, { concurrentRequestsMax: 1 });
		let current = await places.enter(ask());
		const order: string[] = [];
		const enter = (tenantId: string, weight: number) =>
			places.enter(ask({ tenantId, weight })).then((place) => {
				order.push(tenantId);
				current = place;
			});
		const all = [
			...Array.from({ length: 40 }, () => enter('flood', 1)),
			...Array.from({ length: 4 }, () => enter('quiet', 1)),
			...Array.from({ length: 8 }, () => enter('heavy', 2)),
		];
		for (let n = 0; n < all.length; n++) {
			await clock.advance(10);
			current.leave();
		}
		await Promise.all(all);
		const first = order.slice(0, 16);
		expect(first.filter((tenant) => tenant === 'quiet')).toHaveLength(4);
		expect(first.filter((tenant) => tenant === 'heavy')).toHaveLength(8);
	});

	it('refuses at once what would get its place too late, and says when it would', async () => {
		const clock = new VirtualClock();
		const places = placesOf(clock, { concurrentRequestsMax: 1 });
		const first = await places.enter(ask());
		await clock.advance(1000);
		first.leave();
		const second = await places.enter(ask());
		const patient = watch(places.enter(ask({ remainingMs: 5000 })));
		await expect(places.enter(ask({ remainingMs: 500 }))).rejects.toMatchObject({
			code: 'queue_deadline',
			retryAfterMs: 2000,
		});
		second.leave();
		await clock.advance(0);
		expect(patient.place).not.toBeNull();
	});

	it('frees the place in the queue of a client that leaves, and of one whose deadline passes, at that instant', async () => {
		const clock = new VirtualClock();
		const places = placesOf(clock, { concurrentRequestsMax: 1, queuedPerTenantMax: 2 });
		await places.enter(ask());
		const [gone, late] = [new AbortController(), new AbortController()];
		const waiting = [gone, late].map(({ signal }) => watch(places.enter(ask({ signal }))));
		await expect(places.enter(ask())).rejects.toMatchObject({ code: 'queue_full' });
		gone.abort(new PlimsollError('client_closed', 'The client left.'));
		late.abort(new PlimsollError('deadline_exceeded', 'The deadline passed.'));
		await clock.advance(0);
		expect(waiting.map(({ code }) => code)).toEqual(['client_closed', 'queue_deadline']);
		expect(places.view().queued).toEqual({ interactive: 0, batch: 0 });
	});

	it('refuses at once where nobody may wait', async () => {
		const places = placesOf(new VirtualClock(), { concurrentRequestsMax: 1, queuedPerTenantMax: 0 });
		await places.enter(ask());
		await expect(places.enter(ask())).rejects.toMatchObject({ code: 'concurrency_exceeded', retryAfterMs: 1000 });
		const limited = placesOf(new VirtualClock(), { queuedPerTenantMax: 0 });
		const { leases } = new Limit(0);
		await expect(limited.enter(ask({ leases }))).rejects.toMatchObject({ code: 'rate_limited' });
	});

	it('keeps a quarter of the places free of batch work, and turns it away while the limit is lowered', async () => {
		const clock = new VirtualClock();
		const places = placesOf(clock, { concurrentRequestsMax: 4 });
		const batch = Array.from({ length: 4 }, () => watch(places.enter(ask({ priority: 'batch' }))));
		await clock.advance(0);
		expect(batch.map(({ place }) => place !== null)).toEqual([true, true, true, false]);
		await expect(places.enter(ask())).resolves.toMatchObject({ position: 0 });
		places.setLimit(3);
		await expect(places.enter(ask({ priority: 'batch' }))).rejects.toMatchObject({ code: 'overloaded' });
		const interactive = watch(places.enter(ask()));
		await clock.advance(0);
		expect(interactive).toEqual({ place: null, code: null });
	});

	it('refuses everyone who still waits when it is told to, and whoever would have to from then on', async () => {
		const clock = new VirtualClock();
		const places = placesOf(clock, { concurrentRequestsMax: 1 });
		const first = await places.enter(ask());
		const waiting = watch(places.enter(ask()));
		places.refuseWaiting(new PlimsollError('server_draining', 'The server is stopping.'));
		await clock.advance(0);
		expect(waiting.code).toBe('server_draining');
		await expect(places.enter(ask())).rejects.toMatchObject({ code: 'server_draining' });
		first.leave();
		expect(places.running).toBe(0);
		expect(clock.pending).toBe(0);
	});
});

describe('a tenant at its own limit', () => {
	it('waits while others pass, asks once for each place given back, and nobody overtakes', async () => {
		const clock = new VirtualClock();
		const places = placesOf(clock, { concurrentRequestsMax: 100 });
		const limit = new Limit(2);
		const entering = Array.from({ length: 12 }, () => watch(places.enter(ask({ leases: limit.leases }))));
		await clock.advance(10);
		const inside = () => entering.map(({ place }) => (place === null ? '.' : 'x')).join('');
		expect(inside()).toBe('xx..........');
		await expect(places.enter(ask({ tenantId: 'other' }))).resolves.toMatchObject({ position: 0 });
		const asked = limit.asked;
		entering[0]?.place?.leave();
		limit.held--;
		places.freed('acme', ['tenant']);
		await clock.advance(0);
		expect(inside()).toBe('xxx.........');
		expect(limit.asked - asked).toBeLessThanOrEqual(2);
		const late = watch(places.enter(ask({ leases: limit.leases })));
		entering[1]?.place?.leave();
		limit.held--;
		places.freed('acme', ['tenant']);
		await clock.advance(0);
		expect(inside()).toBe('xxxx........');
		expect(late.place).toBeNull();
	});

	it('finds places that another replica gave back by asking every so often, and stops when nobody waits', async () => {
		const clock = new VirtualClock();
		const places = placesOf(clock, {}, true);
		const limit = new Limit(1);
		limit.held = 1;
		const waiting = watch(places.enter(ask({ leases: limit.leases })));
		await clock.advance(1000);
		expect(waiting.place).toBeNull();
		expect(limit.asked).toBeLessThanOrEqual(12);
		limit.held = 0;
		await clock.advance(100);
		expect(waiting.place).toMatchObject({ position: 1 });
		await clock.advance(1000);
		expect(clock.pending).toBe(0);
	});

	it('leaves the place that it held while it asked to whoever waits, when its client goes meanwhile', async () => {
		const clock = new VirtualClock();
		const places = placesOf(clock, { concurrentRequestsMax: 1 });
		const { leases } = new Limit(0);
		const take = async () => {
			await sleep(clock, 5);
			return leases.take();
		};
		const left = new AbortController();
		const asking = watch(places.enter(ask({ leases: { ...leases, take }, signal: left.signal })));
		const waiting = watch(places.enter(ask({ tenantId: 'other' })));
		left.abort(new PlimsollError('client_closed', 'The client left.'));
		await clock.advance(5);
		expect(asking.code).toBe('client_closed');
		expect(waiting.place).not.toBeNull();
	});

	it('asks the limits anew where nobody may wait: another replica may have given back a place', async () => {
		const places = placesOf(new VirtualClock(), { queuedPerTenantMax: 0 }, true);
		const limit = new Limit(1);
		limit.held = 1;
		for (let n = 0; n < 2; n++) {
			await expect(places.enter(ask({ leases: limit.leases }))).rejects.toMatchObject({ code: 'rate_limited' });
		}
		limit.held = 0;
		await expect(places.enter(ask({ leases: limit.leases }))).resolves.toMatchObject({ position: 0 });
	});

	it('gives its place back when the limits cannot be asked', async () => {
		const clock = new VirtualClock();
		const places = placesOf(clock);
		const fails = async () => {
			throw new PlimsollError('limits_unavailable', 'gone');
		};
		const leases = { ...new Limit(1).leases, take: fails };
		await expect(places.enter(ask({ leases }))).rejects.toMatchObject({ code: 'limits_unavailable' });
		expect(places.running).toBe(0);
	});
});

describe('an edit of the rules', () => {
	it('lets as many run as may at once when the limit is to follow the upstreams no more', async () => {
		const places = placesOf(new VirtualClock(), { concurrentRequestsMax: 10, adaptiveMin: 2 });
		places.setLimit(2);
		places.update({ ...RULES, concurrentRequestsMax: 10, adaptiveMin: 2 });
		expect(places.limit).toBe(2);
		places.update({ ...RULES, concurrentRequestsMax: 10, adaptiveMin: null });
		expect(places.limit).toBe(10);
	});
});

describe('any interleaving', () => {
	const request = fc.record({
		tenantId: fc.constantFrom('a', 'b', 'c'),
		priority: fc.constantFrom<Priority>('interactive', 'batch'),
		atMs: fc.nat(80),
		/** How long it runs. */
		runsMs: fc.integer({ min: 1, max: 60 }),
		/** When it is over whatever happens: its client leaves, or its deadline passes; null: it waits for as long as it must. */
		overMs: fc.option(fc.integer({ min: 1, max: 200 })),
		isLimited: fc.boolean(),
	});

	it('ends every request once, lets nobody wait for ever, never passes a bound, and leaves nothing behind', async () => {
		await fc.assert(
			fc.asyncProperty(
				fc.array(request, { minLength: 10, maxLength: 50, size: 'max' }),
				fc.record({
					concurrentRequestsMax: fc.integer({ min: 1, max: 6 }),
					queuedPerTenantMax: fc.integer({ min: 0, max: 5 }),
					queuedMax: fc.integer({ min: 5, max: 10 }),
				}),
				fc.record({ closeMs: fc.option(fc.integer({ min: 50, max: 600 })), delayMs: fc.nat(6), shrinkMs: fc.nat(300) }),
				async (requests, rules, { closeMs, delayMs, shrinkMs }) => {
					const clock = new VirtualClock();
					const places = placesOf(clock, rules, true);
					const limit = new Limit(2);
					const ended: string[] = [];
					let running = 0;
					let limited = 0;
					const run = async ({ tenantId, priority, runsMs, overMs, isLimited }: (typeof requests)[number]) => {
						const over = new AbortController();
						const end = () => over.abort(new PlimsollError('deadline_exceeded', 'late'));
						const stop = overMs === null ? () => {} : clock.after(overMs, end);
						let hasLease = false;
						let isOver = false;
						const giveBack = () => {
							if (!hasLease) return;
							hasLease = false;
							limited--;
							limit.held--;
							places.freed(tenantId, ['tenant']);
						};
						const { take, ...rest } = limit.leases;
						const leases = {
							...rest,
							take: async () => {
								const refusal = await take();
								// As over a network: the answer comes later than the decision.
								if (delayMs > 0) await new Promise<void>((resolve) => clock.after(delayMs, resolve));
								if (refusal !== null) return refusal;
								hasLease = true;
								limited++;
								if (isOver) giveBack();
								return null;
							},
						};
						try {
							const place = await places.enter(
								ask({
									tenantId,
									priority,
									remainingMs: overMs ?? 60_000,
									signal: over.signal,
									leases: isLimited && tenantId === 'a' ? leases : null,
								}),
							);
							running++;
							expect(running).toBeLessThanOrEqual(rules.concurrentRequestsMax);
							expect(limited).toBeLessThanOrEqual(2);
							await new Promise<void>((resolve) => {
								clock.after(runsMs, resolve);
								over.signal.addEventListener('abort', () => resolve(), { once: true });
							});
							running--;
							place.leave();
							ended.push('ran');
						} catch (thrown) {
							ended.push((thrown as PlimsollError).code);
						} finally {
							isOver = true;
							stop();
							giveBack();
						}
						const { queued, tenants } = places.view();
						expect(queued.interactive + queued.batch).toBeLessThanOrEqual(rules.queuedMax);
						for (const tenant of tenants) {
							expect(tenant.queued.interactive + tenant.queued.batch).toBeLessThanOrEqual(rules.queuedPerTenantMax);
						}
					};
					const all = requests.map(
						(one) =>
							new Promise<void>((resolve, reject) => clock.after(one.atMs, () => void run(one).then(resolve, reject))),
					);
					const stopping = new PlimsollError('server_draining', 'stopping');
					if (closeMs !== null) clock.after(closeMs, () => places.refuseWaiting(stopping));
					clock.after(shrinkMs, () => places.setLimit(1));
					await clock.advance(10_000);
					expect(ended).toHaveLength(requests.length);
					await Promise.all(all);
					expect(places.view()).toMatchObject({
						running: { interactive: 0, batch: 0 },
						queued: { interactive: 0, batch: 0 },
						tenants: [],
					});
					expect(limit.held).toBe(0);
					expect(clock.pending).toBe(0);
				},
			),
			{ numRuns: 150 },
		);
	});
});
