import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { drawVariant } from '../../src/flags/split.ts';

const KEY = { secret: 's'.repeat(32), salt: 'answer-route' };
const USERS = Array.from({ length: 4_000 }, (_, n) => `user-${n}`);

const secret = fc.string({ minLength: 32, maxLength: 40 });
const unit = fc.string({ unit: 'binary', maxLength: 40 });
const shares = fc
	.uniqueArray(fc.stringMatching(/^[a-z]{1,6}$/), { minLength: 1, maxLength: 5 })
	.chain((names) => fc.tuple(...names.map((name) => fc.tuple(fc.constant(name), fc.integer({ min: 1, max: 100 })))))
	.map((entries) => Object.fromEntries(entries));

function counts(percent: Record<string, number>, key = KEY): Record<string, number> {
	const drawn: Record<string, number> = {};
	for (const user of USERS) {
		const variant = drawVariant(percent, user, key) ?? 'none';
		drawn[variant] = (drawn[variant] ?? 0) + 1;
	}
	return drawn;
}

test('the same unit, salt and secret always draw the same variant, in whatever order the variants stand', () => {
	fc.assert(
		fc.property(shares, unit, secret, (percent, who, given) => {
			const key = { secret: given, salt: 'salt' };
			const turned = Object.fromEntries(Object.entries(percent).reverse());
			expect(drawVariant(turned, who, key)).toBe(drawVariant(percent, who, key));
		}),
	);
});

test('another process draws the same', () => {
	const split = fileURLToPath(new URL('../../src/flags/split.ts', import.meta.url));
	const percent = { careful: 10, fast: 60, slow: 30 };
	const script = `import { drawVariant } from ${JSON.stringify(split)};
		const [percent, users, key] = JSON.parse(process.argv[1]);
		console.log(JSON.stringify(users.map((user) => drawVariant(percent, user, key))));`;
	const users = USERS.slice(0, 200);
	const printed = execFileSync(
		process.execPath,
		['--input-type=module-typescript', '--eval', script, JSON.stringify([percent, users, KEY])],
		{ encoding: 'utf8' },
	);
	expect(JSON.parse(printed)).toEqual(users.map((user) => drawVariant(percent, user, KEY)));
});

test('a share that grows while no other does only takes in others', () => {
	fc.assert(
		fc.property(shares, unit, fc.integer({ min: 1, max: 100 }), (percent, who, more) => {
			const [grown = ''] = Object.keys(percent);
			const before = drawVariant(percent, who, KEY);
			const after = drawVariant({ ...percent, [grown]: (percent[grown] ?? 0) + more }, who, KEY);
			if (after !== before) expect(after).toBe(grown);
		}),
	);
});

test('from 10 to 20 percent nobody leaves, and about a tenth of all joins', () => {
	const narrow = { careful: 10, fast: 90 };
	const wide = { careful: 20, fast: 80 };
	const moved = USERS.filter((user) => drawVariant(narrow, user, KEY) !== drawVariant(wide, user, KEY));
	for (const user of moved) expect(drawVariant(wide, user, KEY)).toBe('careful');
	expect(moved.length / USERS.length).toBeGreaterThan(0.08);
	expect(moved.length / USERS.length).toBeLessThan(0.12);
});

test('two treatments that grow alike take from the rest alone', () => {
	for (const user of USERS) {
		const before = drawVariant({ a: 10, b: 10, rest: 80 }, user, KEY);
		const after = drawVariant({ a: 20, b: 20, rest: 60 }, user, KEY);
		if (before !== 'rest') expect(after).toBe(before);
	}
});

test('a variant that is taken out moves its own users and no others', () => {
	for (const user of USERS) {
		const before = drawVariant({ a: 10, b: 30, c: 60 }, user, KEY);
		if (before !== 'a') expect(drawVariant({ b: 30, c: 60 }, user, KEY)).toBe(before);
	}
});

test('variants are drawn as often as their shares say, within five standard deviations', () => {
	for (const percent of [
		{ careful: 10, fast: 90 },
		{ a: 1, b: 9, c: 30, d: 60 },
	]) {
		const drawn = counts(percent);
		for (const [variant, share] of Object.entries(percent)) {
			const p = share / 100;
			const deviation = Math.sqrt(USERS.length * p * (1 - p));
			expect(Math.abs((drawn[variant] ?? 0) - USERS.length * p)).toBeLessThan(5 * deviation);
		}
	}
});

test('flags of different salts, or under another secret, draw independently', () => {
	const half = { on: 50, off: 50 };
	for (const other of [
		{ ...KEY, salt: 'other' },
		{ ...KEY, secret: 't'.repeat(32) },
	]) {
		const same = USERS.filter((user) => drawVariant(half, user, KEY) === drawVariant(half, user, other)).length;
		expect(same / USERS.length).toBeGreaterThan(0.45);
		expect(same / USERS.length).toBeLessThan(0.55);
	}
});

test('a variant of 0 percent is never drawn, and no share at all draws nothing', () => {
	expect(counts({ on: 0, off: 100 })).toEqual({ off: USERS.length });
	expect(drawVariant({ on: 0 }, 'ada', KEY)).toBeNull();
});
