import { expect, it } from 'vitest';
import { oldestOf } from '../../src/index-stores/lancedb/oldest-version.ts';

const at = (version: number, second: number) => ({ version, timestamp: new Date(second * 1_000) });

it('keeps every version that is needed, also when the clock went back between two of them', () => {
	const versions = [at(3, 50), at(4, 100), at(5, 20), at(6, 21)];
	expect(oldestOf(versions, [4])).toEqual(new Date(100_000));
	expect(oldestOf(versions, [4, 5])).toEqual(new Date(20_000));
	expect(oldestOf(versions, [])).toBeNull();
	expect(oldestOf(versions, [9])).toBeNull();
});
