import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { seededRandom } from '../../src/base/random.ts';
import { orderOf } from '../../src/policy/choice.ts';

const seat = fc.record({
	weight: fc.integer({ min: 1, max: 1000 }),
	load: fc.nat(50),
	isOpen: fc.boolean(),
});
const seats = fc.array(seat, { minLength: 1, maxLength: 8 });
const by = fc.constantFrom('weight' as const, 'load' as const);

describe('the order of equal upstreams', () => {
	it('has each of them once, and those that may not be asked at the end', () => {
		fc.assert(
			fc.property(seats, by, fc.integer(), (all, how, seed) => {
				const random = seededRandom(seed);
				const order = orderOf(all, how, () => random.next());
				expect([...order].sort((a, b) => a - b)).toEqual(all.map((_, place) => place));
				const open = order.map((place) => all[place]?.isOpen);
				expect(open.lastIndexOf(true)).toBeLessThanOrEqual(
					open.includes(false) ? open.indexOf(false) - 1 : open.length,
				);
			}),
		);
	});

	it('of two begins with the one that has fewer calls under way for its weight', () => {
		fc.assert(
			fc.property(seat, seat, fc.integer(), (one, two, seed) => {
				const pair = [one, two].map((each) => ({ ...each, isOpen: true }));
				const random = seededRandom(seed);
				const [first = 0] = orderOf(pair, 'load', () => random.next());
				const share = (place: number) => ((pair[place]?.load ?? 0) + 1) / (pair[place]?.weight ?? 1);
				expect(share(first)).toBeLessThanOrEqual(share(1 - first));
			}),
		);
	});

	it('follows the weights where they alone decide', () => {
		const random = seededRandom(7);
		const all = [3, 1].map((weight) => ({ weight, load: 0, isOpen: true }));
		let first = 0;
		for (let n = 0; n < 10_000; n++) if (orderOf(all, 'weight', () => random.next())[0] === 0) first++;
		expect(first / 10_000).toBeCloseTo(0.75, 1);
	});

	it('keeps ten upstreams nearly even by looking at two, where chance alone would not', () => {
		const random = seededRandom(7);
		const spreadOf = (how: 'weight' | 'load') => {
			const loads = Array.from({ length: 10 }, () => 0);
			for (let n = 0; n < 1000; n++) {
				const all = loads.map((load) => ({ weight: 1, load, isOpen: true }));
				const [first = 0] = orderOf(all, how, () => random.next());
				loads[first] = (loads[first] ?? 0) + 1;
			}
			return Math.max(...loads) - Math.min(...loads);
		};
		expect(spreadOf('load')).toBeLessThanOrEqual(6);
		expect(spreadOf('weight')).toBeGreaterThan(12);
	});
});
