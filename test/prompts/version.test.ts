import { expect, test } from 'vitest';
import { compareVersions, isVersion } from '../../src/prompts/version.ts';

/** The order that semver.org gives as its example, with numbers of several digits around it. */
const IN_ORDER = [
	'0.0.1',
	'0.9.10',
	'1.0.0-alpha',
	'1.0.0-alpha.1',
	'1.0.0-alpha.beta',
	'1.0.0-beta',
	'1.0.0-beta.2',
	'1.0.0-beta.11',
	'1.0.0-rc.1',
	'1.0.0',
	'1.2.0',
	'1.10.0',
	'2.0.0',
	'10.0.0',
];

test('versions are in the order of semantic versioning', () => {
	for (const [i, a] of IN_ORDER.entries()) {
		for (const [j, b] of IN_ORDER.entries()) expect(Math.sign(compareVersions(a, b))).toBe(Math.sign(i - j));
	}
});

test.each(['1', '1.0', 'v1.0.0', '1.0.0+build', '01.0.0', '1.0.0-', '1.0.0-a..b', ' 1.0.0', ''])(
	'%j is no version',
	(text) => {
		expect(isVersion(text)).toBe(false);
	},
);
