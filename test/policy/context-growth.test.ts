import { describe, expect, it } from 'vitest';
import { seededRandom } from '../../src/base/random.ts';
import { ContextGrowth } from '../../src/policy/context-growth.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

/** Contexts as they are: skewed, and capped. */
function drawn(random: { next(): number }, mean: number): number {
	return Math.min(mean * 2, -Math.log(1 - random.next()) * mean);
}

function run(options: { seed: number; perMinute: number; hours: number; grownFrom?: number; factor?: number }) {
	const random = seededRandom(options.seed);
	const growth = new ContextGrowth();
	let raisedAt: number | null = null;
	for (let now = 0; now < options.hours * HOUR; now += MINUTE / options.perMinute) {
		const isGrown = options.grownFrom !== undefined && now >= options.grownFrom;
		growth.note(drawn(random, 800) * (isGrown ? (options.factor ?? 2) : 1), now);
		if (raisedAt === null && growth.judge(now)?.verdict === 'grown') raisedAt = now;
	}
	return { growth, raisedAt };
}

describe('growth of a feature’s contexts', () => {
	it('a doubled average is seen within the hour, at two and at sixty requests a minute', () => {
		for (const perMinute of [2, 60]) {
			for (let seed = 1; seed <= 20; seed++) {
				const { raisedAt } = run({ seed, perMinute, hours: 6, grownFrom: 5 * HOUR });
				expect(raisedAt, `seed ${seed}`).toBeGreaterThanOrEqual(5 * HOUR);
				expect(raisedAt, `seed ${seed}`).toBeLessThan(6 * HOUR);
			}
		}
	});

	it('none of 200 days of unchanged contexts raises anything', () => {
		const false_ = Array.from({ length: 200 }, (_, seed) => run({ seed: seed + 1, perMinute: 2, hours: 24 }).raisedAt);
		expect(false_.filter((at) => at !== null)).toEqual([]);
	});

	it('says nothing before it knows what is usual, or of a growth that costs nothing', () => {
		const early = run({ seed: 1, perMinute: 2, hours: 1, grownFrom: HOUR / 2 });
		expect(early.raisedAt).toBeNull();
		const growth = new ContextGrowth();
		for (let at = 0; at < 300; at++) growth.note(20, at * MINUTE);
		for (let at = 300; at < 350; at++) growth.note(60, at * MINUTE);
		expect(growth.judge(350 * MINUTE)).toBeNull();
	});

	it('is calm again once the contexts are small again, also after a silence of days and a clock set back', () => {
		const { growth } = run({ seed: 1, perMinute: 10, hours: 6, grownFrom: 5 * HOUR });
		for (let at = 0; at < 80; at++) growth.note(800, 6 * HOUR + at * MINUTE);
		expect(growth.judge(7.5 * HOUR)).toEqual({ verdict: 'calm' });
		growth.note(800, HOUR);
		expect(growth.judge(7.5 * HOUR)).toEqual({ verdict: 'calm' });
		expect(growth.judge(100 * HOUR)).toBeNull();
	});
});
