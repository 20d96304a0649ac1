import { afterEach, expect, it } from 'vitest';
import { setDefaults } from '../../src/app/environment.ts';

const NAMES = ['PLIMSOLL_TEST_SET', 'PLIMSOLL_TEST_UNSET'] as const;
afterEach(() => {
	for (const name of NAMES) delete process.env[name];
});

it('what the operator set for an engine stays; what is not set is bounded', () => {
	process.env.PLIMSOLL_TEST_SET = '7';
	setDefaults({ PLIMSOLL_TEST_SET: 1, PLIMSOLL_TEST_UNSET: 2 });
	expect(NAMES.map((name) => process.env[name])).toEqual(['7', '2']);
});
