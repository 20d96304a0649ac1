import fc from 'fast-check';
import { expect, it } from 'vitest';
import { Seam } from '../../src/runtime/seam.ts';

function joined(sent: string, pieces: readonly string[]): string {
	const seam = new Seam(sent);
	return sent + pieces.map((piece, at) => seam.join(piece, at === pieces.length - 1)).join('');
}

function cut(text: string, places: readonly number[]): string[] {
	const sorted = [...new Set([0, ...places.map((place) => place % (text.length + 1)), text.length])].sort(
		(a, b) => a - b,
	);
	return sorted.slice(1).map((end, at) => text.slice(sorted[at], end));
}

const TEXT = 'The load line of a ship shows how much it may carry in each season and sea.';
const places = fc.array(fc.nat(), { maxLength: 12 });

it('one upstream goes on where another broke off, however both are cut, and nothing is missing or shown twice', () => {
	fc.assert(
		fc.property(fc.integer({ min: 1, max: TEXT.length - 1 }), places, (at, cuts) => {
			const sent = TEXT.slice(0, at);
			// It is given the beginning without the space at its end, and so writes that again.
			expect(joined(sent, cut(TEXT.slice(sent.trimEnd().length), cuts))).toBe(TEXT);
		}),
	);
});

it('one that begins anew is known from sixteen characters on, and only its rest is shown', () => {
	fc.assert(
		fc.property(fc.integer({ min: 17, max: TEXT.length - 1 }), places, (at, cuts) => {
			expect(joined(TEXT.slice(0, at), cut(TEXT, cuts))).toBe(TEXT);
		}),
	);
});

it('a short beginning is no proof of an echo', () => {
	expect(joined('I', ['n', ' fact, no.'])).toBe('In fact, no.');
	expect(joined('A', ['A is for axle.'])).toBe('AA is for axle.');
});

it('an end that only looks like an echo is shown', () => {
	expect(joined('The load line of a ship. ', ['The load', ' line.'])).toBe('The load line of a ship. The load line.');
	expect(joined('The load line of a ship. ', ['The load'])).toBe('The load line of a ship. The load');
});
