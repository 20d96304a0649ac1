import { franc } from 'franc-min';

/** A guess from fewer characters is a coin toss. */
const CHARS_MIN = 60;
/** The beginning of a document says what it is in. */
const CHARS_MAX = 2_048;

/**
 * The language of a text as its shortest code (`de`, not `deu`), by the trigrams of 82 languages; null when it is too
 * short to tell. The same text always gives the same.
 */
export function detectLanguage(text: string): string | null {
	const sample = text.slice(0, CHARS_MAX);
	if (sample.length < CHARS_MIN) return null;
	const found = franc(sample, { minLength: CHARS_MIN });
	return found === 'und' ? null : shortest(found);
}

/** `de` of `de`, `deu`, `de-at` and `DE_AT`. */
export function primaryLanguage(stated: string): string {
	return shortest(stated.toLowerCase().split(/[-_]/)[0] ?? stated);
}

const short = new Map<string, string>();
/** Codes that are remembered: more are made up. */
const CODES_MAX = 1_000;

function shortest(code: string): string {
	const known = short.get(code) ?? canonical(code);
	if (short.size < CODES_MAX) short.set(code, known);
	return known;
}

function canonical(code: string): string {
	try {
		// Canonical tags have two letters where there are two.
		return Intl.getCanonicalLocales(code)[0] ?? code;
	} catch {
		return code;
	}
}
