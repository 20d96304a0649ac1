import fc from 'fast-check';
import { expect, it } from 'vitest';
import { seededRandom, systemRandom } from '../../src/base/random.ts';

it('never hands out the same bytes twice', () => {
	const seen = new Set<string>();
	for (let i = 0; i < 5000; i++) {
		const text = Buffer.from(systemRandom.bytes(16)).toString('hex');
		expect(text).toHaveLength(32);
		expect(seen.has(text)).toBe(false);
		seen.add(text);
	}
});

it('gives as many bytes as asked, also more than it keeps ready', () => {
	for (const length of [0, 1, 8192, 20_000]) expect(systemRandom.bytes(length)).toHaveLength(length);
});

it('gives the same numbers for the same seed, all in [0, 1)', () => {
	fc.assert(
		fc.property(fc.integer(), (seed) => {
			const [a, b] = [seededRandom(seed), seededRandom(seed)];
			for (let i = 0; i < 20; i++) {
				const drawn = a.next();
				expect(drawn).toBe(b.next());
				expect(drawn).toBeGreaterThanOrEqual(0);
				expect(drawn).toBeLessThan(1);
			}
		}),
	);
});
