import fc from 'fast-check';
import { expect, test } from 'vitest';
import { usdToMicros } from '../../src/contracts/money.ts';

test('prices convert digit by digit', () => {
	expect(usdToMicros(0.15)).toBe(150_000);
	expect(usdToMicros(0.1 + 0.2)).toBeNull();
	expect(usdToMicros(0.000001)).toBe(1);
	expect(usdToMicros(1e-7)).toBeNull();
	expect(usdToMicros(0)).toBe(0);
	expect(usdToMicros(2.5e9)).toBe(2.5e15);
	expect(usdToMicros(1e21)).toBeNull();
	expect(usdToMicros(-1)).toBeNull();
	expect(usdToMicros(Number.NaN)).toBeNull();
	expect(usdToMicros(Number.POSITIVE_INFINITY)).toBeNull();
});

test('every amount of whole micro-dollars survives being written as dollars', () => {
	fc.assert(
		fc.property(fc.nat(999_999), fc.nat(999_999), (dollars, micros) => {
			const written = Number(`${dollars}.${String(micros).padStart(6, '0')}`);
			expect(usdToMicros(written)).toBe(dollars * 1_000_000 + micros);
		}),
	);
});
