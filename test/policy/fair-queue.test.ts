import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BATCH_EVERY, FairQueue, type Queued } from '../../src/policy/fair-queue.ts';
import type { Priority } from '../../src/spec/priority.ts';

const WIDE = { perFlowMax: 1000, max: 1000 };
const ANY = { isEligible: () => true, hasSpare: true };

function join(
	queue: FairQueue<string>,
	flow: string,
	change: { weight?: number; cost?: number; priority?: Priority; item?: string } = {},
	bounds = WIDE,
) {
	const { weight = 1, cost = 1, priority = 'interactive', item = flow } = change;
	return queue.join({ item, flow, weight, cost: () => cost, priority }, bounds);
}

function takeAll(queue: FairQueue<string>, offer = ANY): string[] {
	const taken: string[] = [];
	for (let next = queue.next(offer); next !== null; next = queue.next(offer)) taken.push(next.item);
	return taken;
}

const weights = fc.array(fc.integer({ min: 1, max: 8 }), { minLength: 1, maxLength: 5 });

describe('fair shares', () => {
	it('serves a tenant in order of arrival', () => {
		const queue = new FairQueue<string>();
		for (const item of ['first', 'second', 'third']) join(queue, 'a', { item });
		expect(takeAll(queue)).toEqual(['first', 'second', 'third']);
	});

	it('gives over a long run to each tenant that always waits its weight’s share, to within one place', () => {
		fc.assert(
			fc.property(weights, (ws) => {
				const queue = new FairQueue<string>();
				for (const [at, weight] of ws.entries()) for (let n = 0; n < 200; n++) join(queue, `t${at}`, { weight });
				const sum = ws.reduce((a, b) => a + b, 0);
				const served = new Map<string, number>();
				for (let n = 1; n <= 150; n++) {
					const { flow } = queue.next(ANY) as Queued<string>;
					served.set(flow, (served.get(flow) ?? 0) + 1);
				}
				for (const [at, weight] of ws.entries()) {
					const fair = (150 * weight) / sum;
					// Start-time fair queueing: two flows differ in service per weight by at most one item each.
					expect(Math.abs((served.get(`t${at}`) ?? 0) - fair)).toBeLessThanOrEqual(weight + ws.length);
				}
			}),
		);
	});

	it('starves nobody: whoever waits goes after at most a bounded number of the others’, whatever they add meanwhile', () => {
		fc.assert(
			fc.property(weights, fc.integer({ min: 1, max: 8 }), fc.nat(20), (others, weight, late) => {
				const queue = new FairQueue<string>();
				const flood = () => {
					for (const [at, w] of others.entries()) {
						if (queue.waiting(`t${at}`, 'interactive') < 3) join(queue, `t${at}`, { weight: w });
					}
				};
				for (let n = 0; n < 5; n++) flood();
				for (let n = 0; n < late; n++) {
					queue.next(ANY);
					flood();
				}
				join(queue, 'quiet', { weight });
				// The newcomer starts now; each other flow may have begun one item before and starts at most as many as fit.
				const bound = others.length * 2;
				let before = 0;
				for (let next = queue.next(ANY); next?.flow !== 'quiet'; next = queue.next(ANY)) {
					before++;
					expect(before).toBeLessThanOrEqual(bound);
					flood();
				}
			}),
		);
	});

	it('charges a tenant whose requests hold their places for longer accordingly', () => {
		const queue = new FairQueue<string>();
		for (let n = 0; n < 50; n++) {
			join(queue, 'slow', { cost: 10 });
			join(queue, 'quick', { cost: 1 });
		}
		const first = Array.from({ length: 33 }, () => queue.next(ANY)?.flow);
		expect(first.filter((flow) => flow === 'slow')).toHaveLength(3);
	});

	it('lets a tenant that could not go for a while save nothing up', () => {
		const queue = new FairQueue<string>();
		for (let n = 0; n < 40; n++) {
			join(queue, 'capped');
			join(queue, 'other');
		}
		const others = { isEligible: (item: string) => item === 'other', hasSpare: true };
		for (let n = 0; n < 20; n++) expect(queue.next(others)?.flow).toBe('other');
		const after = Array.from({ length: 20 }, () => queue.next(ANY)?.flow);
		expect(after.filter((flow) => flow === 'capped').length).toBeLessThanOrEqual(11);
	});

	it('goes past a request that is held back to the next one of its tenant, and puts what it took back to its turn', () => {
		const queue = new FairQueue<string>();
		for (const item of ['held', 'free', 'last']) join(queue, 'a', { item });
		const taken = queue.next({ isEligible: (item) => item !== 'held', hasSpare: true }) as Queued<string>;
		expect(taken.item).toBe('free');
		queue.putBack(taken);
		expect(takeAll(queue)).toEqual(['held', 'free', 'last']);
	});
});

describe('priorities', () => {
	it('lets batch work ahead of waiting interactive work once in every ten places, and never waits for ever', () => {
		fc.assert(
			fc.property(fc.array(fc.constantFrom('join', 'take', 'pass'), { minLength: 20, maxLength: 300 }), (events) => {
				const queue = new FairQueue<string>();
				const order: Priority[] = [];
				for (let n = 0; n < 30; n++) join(queue, 'night', { priority: 'batch' });
				for (let n = 0; n < 300; n++) join(queue, `day${n % 3}`);
				for (const event of events) {
					if (event === 'join') join(queue, 'day0');
					if (event === 'pass') {
						queue.passed();
						order.push('interactive');
					}
					if (event === 'take') order.push((queue.next({ ...ANY, hasSpare: false }) as Queued<string>).priority);
				}
				const batches = order.flatMap((priority, at) => (priority === 'batch' ? [at] : []));
				for (const [n, at] of batches.entries())
					expect(at - (batches[n - 1] ?? -1)).toBeGreaterThanOrEqual(BATCH_EVERY);
				// What passed by counts, so that batch work is due in time: it goes with the next place that is given.
				const taken = events.filter((event) => event === 'take').length;
				expect(batches.length).toBeGreaterThanOrEqual(Math.floor(taken / BATCH_EVERY));
			}),
		);
	});

	it('lets batch work without a turn go only where there is room to spare', () => {
		const queue = new FairQueue<string>();
		join(queue, 'night', { priority: 'batch' });
		expect(queue.next({ ...ANY, hasSpare: false })).toBeNull();
		expect(queue.next(ANY)?.flow).toBe('night');
	});
});

describe('bounds', () => {
	it('are never passed, and everything that joins leaves once, in whatever order', () => {
		const event = fc.record({
			kind: fc.constantFrom('join', 'join', 'join', 'take', 'cancel', 'back'),
			flow: fc.constantFrom('a', 'b', 'c', 'd'),
			priority: fc.constantFrom<Priority>('interactive', 'batch'),
			pick: fc.nat(100),
		});
		fc.assert(
			fc.property(
				fc.array(event, { maxLength: 200 }),
				fc.integer({ min: 1, max: 5 }),
				fc.integer({ min: 1, max: 12 }),
				(events, perFlowMax, max) => {
					const queue = new FairQueue<number>();
					const inside = new Map<number, Queued<number>>();
					const left: number[] = [];
					const leave = ({ item }: Queued<number>) => {
						expect(inside.delete(item)).toBe(true);
						left.push(item);
					};
					let taken: Queued<number> | null = null;
					for (const [item, { kind, flow, priority, pick }] of events.entries()) {
						if (kind === 'join') {
							const joined = queue.join({ item, flow, weight: 1, cost: () => 1, priority }, { perFlowMax, max });
							if (joined.queued === null) continue;
							inside.set(item, joined.queued);
							if (joined.evicted !== null) leave(joined.evicted);
						} else if (kind === 'take') {
							taken = queue.next({ isEligible: (it) => it % 3 !== pick % 3, hasSpare: pick % 2 === 0 });
							if (taken !== null) leave(taken);
						} else if (kind === 'cancel') {
							const queued = [...inside.values()][pick % Math.max(1, inside.size)];
							if (queued !== undefined && queue.remove(queued)) leave(queued);
						} else if (
							taken !== null &&
							queue.size < max &&
							queue.waiting(taken.flow, 'batch') + queue.waiting(taken.flow, 'interactive') < perFlowMax
						) {
							queue.putBack(taken);
							inside.set(taken.item, taken);
							left.splice(left.indexOf(taken.item), 1);
							taken = null;
						}
						expect(queue.size).toBe(inside.size);
						expect(queue.size).toBeLessThanOrEqual(max);
						for (const counts of queue.counts().values()) {
							expect(counts.interactive + counts.batch).toBeLessThanOrEqual(perFlowMax);
						}
					}
					for (const queued of queue.drain()) leave(queued);
					expect(queue.size).toBe(0);
					expect(new Set(left).size).toBe(left.length);
				},
			),
		);
	});

	it('displace the newest of the tenant that has most, for its weight, never one that has less', () => {
		const queue = new FairQueue<string>();
		const bounds = { perFlowMax: 10, max: 6 };
		for (let n = 0; n < 5; n++) join(queue, 'flood', { item: `flood${n}` }, bounds);
		join(queue, 'heavy', { weight: 8 }, bounds);
		expect(join(queue, 'quiet', {}, bounds)).toMatchObject({ evicted: { item: 'flood4' } });
		expect(join(queue, 'flood', {}, bounds)).toEqual({ queued: null, full: 'all' });
		expect(queue.waiting('flood', 'interactive')).toBe(4);
	});

	it('displace batch work before interactive work, of the same tenant too', () => {
		const queue = new FairQueue<string>();
		const bounds = { perFlowMax: 2, max: 3 };
		join(queue, 'a', { priority: 'batch', item: 'report' }, bounds);
		join(queue, 'a', { item: 'chat1' }, bounds);
		expect(join(queue, 'a', { item: 'chat2' }, bounds)).toMatchObject({ evicted: { item: 'report' } });
		expect(join(queue, 'a', { priority: 'batch' }, bounds)).toEqual({ queued: null, full: 'flow' });
		join(queue, 'b', { priority: 'batch', item: 'index' }, bounds);
		expect(join(queue, 'c', {}, bounds)).toMatchObject({ evicted: { item: 'index' } });
	});
});
