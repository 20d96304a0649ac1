import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { SumHash } from '../../src/base/sum-hash.ts';

function of(members: readonly string[]): SumHash {
	const sum = new SumHash();
	for (const member of members) sum.add(createHash('sha256').update(member).digest());
	return sum;
}

it('what is left of a sum is the sum of what is left, in any order, however it is written down', () => {
	fc.assert(
		fc.property(fc.array(fc.string()), fc.array(fc.string()), fc.array(fc.string()), (kept, gone, come) => {
			const before = SumHash.of(of([...kept, ...gone]).hex);
			const after = before.minus(of(gone)).plus(of(come));
			expect(after.hex).toBe(of([...come.toReversed(), ...kept]).hex);
			expect(before.hex).toBe(of([...gone, ...kept]).hex);
		}),
	);
	expect(of(['a', 'b']).hex).not.toBe(of(['a', 'c']).hex);
	expect(of(['a', 'a']).hex).not.toBe(of([]).hex);
});

it('refuses what is no sum', () => {
	for (const text of ['', '0'.repeat(31), `${'0'.repeat(31)}G`, '0'.repeat(33)]) {
		expect(() => SumHash.of(text)).toThrow(RangeError);
	}
});
