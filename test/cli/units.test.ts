import { expect, it } from 'vitest';
import { duration } from '../../src/cli/units.ts';

it.each([
	[0.84, '0.8 ms'],
	[45, '45 ms'],
	[1_250, '1.25 s'],
	[125_000, '2 min 05 s'],
	[3_599_000, '59 min 59 s'],
	[3_600_000, '1 h 00 min'],
	[86_400_000, '24 h 00 min'],
])('%d ms are written as %s', (ms, written) => {
	expect(duration(ms)).toBe(written);
});
