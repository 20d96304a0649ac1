import { stemmer } from 'stemmer';

/** One word of a text. */
export interface Word {
	/** What words are compared by: the Porter stem in lower case; digits without separators; number words as digits. */
	readonly stem: string;
	/** Written with a capital although the place in its sentence does not ask for one, or with a digit in it. */
	readonly named: boolean;
	readonly number: boolean;
	/** Carries no meaning of its own: articles, pronouns, auxiliaries, question words. */
	readonly stop: boolean;
	/** As written. */
	readonly text: string;
}

const STOP = new Set(
	`a about above after again all also am an and any are as at be because been before being below between both but by can
	could did do does doing down during each few for from further had has have having he her here hers herself him himself
	his how i if in into is it its itself just let me more most my myself of off on once only or other our ours out over own
	same shall she should so some such than that the their theirs them themselves then there these they this those through
	to too under until up upon us very was we were what when where which while who whom whose why will with within without
	would you your yours yourself s t d ll m re ve according many much kind type name named known called`.split(/\s+/),
);

const NUMBERS = new Map(
	'zero one two three four five six seven eight nine ten eleven twelve'.split(' ').map((word, i) => [word, String(i)]),
);

/** Longer words are cut: they are not words of a language, and the stemmer's time grows with them. */
const WORD_CHARS_MAX = 40;

/** Letters and digits, with inner apostrophes and the separators of numbers; scripts without spaces one character each; identifiers fall into their words. */
const WORD =
	/\d+(?:[.,:]\d+)*(?:st|nd|rd|th|s|%)?|[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}]|[\p{L}\p{M}\p{N}]+(?:['’][\p{L}]+)?/gu;

const stems = new Map<string, string>();
const STEMS_MAX = 20_000;

/** The words of one sentence, in order, at most `max`. */
export function wordsOf(sentence: string, max: number): Word[] {
	const words: Word[] = [];
	for (const [text] of sentence.matchAll(WORD)) {
		words.push(toWord(text.length > WORD_CHARS_MAX ? text.slice(0, WORD_CHARS_MAX) : text, words.length === 0));
		if (words.length === max) break;
	}
	const [first, second] = words;
	// "Samuel Plimsoll had …": the first word is a name when the next one is.
	if (first && second?.named && !second.number && !first.stop) words[0] = { ...first, named: true };
	return words;
}

function toWord(text: string, first: boolean): Word {
	const lower = text.toLowerCase().replace(/['’]s?$|['’].*$/, '');
	const digits = /\d/.test(lower);
	const number = NUMBERS.get(lower);
	const stop = STOP.has(lower) || lower === '';
	return {
		stem: number ?? (digits ? lower.replace(/[,%]/g, '') : stemOf(lower)),
		named:
			digits || (!first && !stop && /^\p{Lu}/u.test(text)) || (first && !stop && /^\p{Lu}.*[\p{Lu}\d]/u.test(text)),
		number: digits || number !== undefined,
		stop,
		text,
	};
}

/** Stemming is the most expensive step, and a few thousand words make up most text. */
function stemOf(lower: string): string {
	let stem = stems.get(lower);
	if (stem === undefined) {
		stem = /^[a-z]+$/.test(lower) ? stemmer(lower) : lower;
		if (stems.size >= STEMS_MAX) stems.clear();
		stems.set(lower, stem);
	}
	return stem;
}
