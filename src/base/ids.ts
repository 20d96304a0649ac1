import type { Clock } from './clock.ts';
import type { Random } from './random.ts';

/** Crockford's base 32: no I, L, O, U, so that an id survives being read aloud. */
const ALPHABET = '0123456789abcdefghjkmnpqrstvwxyz';

/**
 * Makes ids like `req_01jf3k8v9n4zq6t0w2x7y5r8ab`: 48 bits of wall time, then 80 random bits, so that ids sort by
 * time and cannot be guessed. The layout is that of ULID (github.com/ulid/spec), in lower case.
 */
export function createIds(clock: Clock, random: Random): (prefix: string) => string {
	return (prefix) => {
		let time = clock.now();
		let head = '';
		for (let i = 0; i < 10; i++) {
			head = ALPHABET[time % 32] + head;
			time = Math.floor(time / 32);
		}
		return `${prefix}_${head}${randomText(random, 16)}`;
	};
}

/** `length` characters of Crockford's base 32, five random bits each. */
export function randomText(random: Random, length: number): string {
	let text = '';
	for (const byte of random.bytes(length)) text += ALPHABET[byte & 31];
	return text;
}
