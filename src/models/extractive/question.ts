import { type Word, wordsOf } from './words.ts';

/** What kind of thing an answer would be. */
type Expectation = 'person' | 'time' | 'place' | 'number' | 'reason' | 'thing';

/** A question as the reader compares it. */
export interface Question {
	/** Distinct content words in order of first appearance. */
	readonly terms: readonly Word[];
	/** Stems of neighbouring content words, as `a b`. */
	readonly pairs: ReadonlySet<string>;
	readonly stems: ReadonlySet<string>;
	readonly expects: Expectation;
	readonly negated: boolean;
}

const TERMS_MAX = 48;
const WORDS_MAX = 400;
/** A longer question is read from its end, where people put what they ask. */
const CHARS_MAX = 4000;

const TIME =
	/\b(?:when|(?:what|which) (?:\w+ ){0,2}?(?:years?|dates?|centur(?:y|ies)|decades?|days?|months?|era|period|time)\b|how long ago)/;
const NUMBER =
	/\bhow (?:many|much|long|old|far|tall|large|big|often|high|fast|deep|wide|heavy|hot|cold)\b|\bwhat (?:percent(?:age)?|number|amount|age|proportion|fraction|share)\b|\bwhat (?:is|was) the (?:\w+ ){0,2}(?:population|number|percentage|price|cost|limit|size|maximum|minimum|default)\b/;
const PERSON =
	/\bwho(?:m|se)?\b|\b(?:what|which) (?:\w+ ){0,2}?(?:person|people|man|woman|king|queen|leader|author|scientist|president|emperor|general|engineer|philosopher|artist|inventor)\b/;
const PLACE =
	/\bwhere\b|\b(?:what|which) (?:\w+ ){0,1}?(?:countr(?:y|ies)|cit(?:y|ies)|states?|continents?|places?|location|region|river|town|island|province|nation)\b/;
const NEGATION =
	/\b(?:not|never|no|none|nor|neither|without|cannot|fail(?:s|ed)?|refus\w+|lack(?:s|ed|ing)?)\b|n['’]t\b/i;

export function readQuestion(text: string): Question {
	const asked = text.slice(-CHARS_MAX);
	const words = wordsOf(asked, WORDS_MAX);
	const content = words.filter((word) => !word.stop);
	// A question of stop words alone ("Who is it?") is compared by them: better than by nothing.
	const compared = content.length > 0 ? content : words;
	const terms = [...new Map(compared.map((word) => [word.stem, word])).values()].slice(0, TERMS_MAX);
	const pairs = new Set<string>();
	for (let i = 1; i < compared.length && pairs.size < TERMS_MAX; i++)
		pairs.add(`${compared[i - 1]?.stem} ${compared[i]?.stem}`);
	return {
		terms,
		pairs,
		stems: new Set(terms.map((word) => word.stem)),
		expects: expectationOf(asked.toLowerCase()),
		negated: isNegated(asked),
	};
}

export function isNegated(text: string): boolean {
	return NEGATION.test(text);
}

function expectationOf(lower: string): Expectation {
	if (TIME.test(lower)) return 'time';
	if (NUMBER.test(lower)) return 'number';
	if (PERSON.test(lower)) return 'person';
	if (PLACE.test(lower)) return 'place';
	return /\bwhy\b|\bwhat (?:\w+ ){0,2}?(?:cause[sd]?|reason|purpose)\b/.test(lower) ? 'reason' : 'thing';
}

const TIME_WORD =
	/^(?:1\d{3}s?|20\d{2}s?|\d{1,2}:\d{2}|noon|midnight|\d{1,2}(?:st|nd|rd|th)|january|february|march|april|may|june|july|august|september|october|november|december|monday|tuesday|wednesday|thursday|friday|saturday|sunday|century|centuries|decade|year|years|bc|bce|ad|ce|today|spring|summer|autumn|winter)$/i;
const REASON =
	/\b(?:because|due to|since|so that|in order to|as a result|caused? by|therefore|led to|thanks to|reason|to \w+)\b/i;

/** The positions of words that could be what the question expects and are not already in it; at most 32. */
export function candidatesOf(question: Question, words: readonly Word[]): number[] {
	const positions: number[] = [];
	for (let i = 0; i < words.length && positions.length < 32; i++) {
		const word = words[i];
		if (word && !question.stems.has(word.stem) && fits(question.expects, word)) positions.push(i);
	}
	return positions;
}

function fits(expects: Expectation, word: Word): boolean {
	switch (expects) {
		case 'time':
			return TIME_WORD.test(word.text);
		case 'number':
			return word.number;
		case 'person':
		case 'place':
			return word.named && !word.number;
		default:
			return !word.stop;
	}
}

export function givesReason(sentence: string): boolean {
	return REASON.test(sentence);
}
