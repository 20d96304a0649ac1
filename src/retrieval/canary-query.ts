import type { SuggestionMethod } from '../spec/canaries.ts';
import type { Passage } from '../spec/retrieval.ts';

/** Words of a query that is made of a sentence. */
const WORDS_MAX = 5;
const WORDS_MIN = 3;
/** A sentence is left out by so much at least that no query is one. */
const SENTENCE_WORDS_MIN = WORDS_MAX + 3;
/** Longer ones are tables, lists or code. */
const SENTENCE_WORDS_MAX = 60;
const HEADING_WORDS_MIN = 2;
const HEADING_CHARS_MAX = 200;
const WORD = /[\p{L}\p{N}]+(?:['’_-][\p{L}\p{N}]+)*/gu;
/** No digits: numbers and hashes are rare, and nobody asks for them. */
const TELLING = /^[\p{L}'’-]{4,24}$/u;

/** A query and the words in it that come from the document. */
export interface MadeQuery {
	readonly query: string;
	readonly words: readonly string[];
	readonly method: SuggestionMethod;
}

/** The words of a text in lower case, in order. */
export function wordsOf(text: string): string[] {
	return text.normalize('NFKC').toLowerCase().match(WORD) ?? [];
}

/** How many of the sampled documents hold each word. */
export class WordCensus {
	readonly #counts = new Map<string, number>();
	#documents = 0;

	add(passages: readonly Passage[]): void {
		this.#documents++;
		const words = new Set(passages.flatMap(({ text }) => wordsOf(text)));
		for (const word of words) this.#counts.set(word, (this.#counts.get(word) ?? 0) + 1);
	}

	/** ln(documents / documents with the word): 0 for one that all of them hold. */
	rarity(word: string): number {
		return Math.log(this.#documents / (this.#counts.get(word) ?? this.#documents));
	}
}

/** The deepest headings of a document as a question; null where it has none that say something besides its title. */
export function headingQuery(passages: readonly Passage[]): MadeQuery | null {
	const paths = passages.map(({ headingPath, title }) => headingPath.filter((heading) => heading !== title));
	const [deepest] = paths.sort((a, b) => b.length - a.length);
	const [heading, parent] = deepest?.toReversed() ?? [];
	if (heading === undefined) return null;
	const about = parent === undefined ? heading : `${heading} (${parent})`;
	const words = wordsOf(about);
	const telling = words.filter((word) => TELLING.test(word));
	if (telling.length < HEADING_WORDS_MIN || about.length > HEADING_CHARS_MAX) return null;
	const asked = about.replace(/\s+/gu, ' ').trim();
	return { query: asked.endsWith('?') ? asked : `What about ${asked}?`, words, method: 'headings' };
}

/**
 * The rarest words of the most telling sentence, in its order: the sentence whose five rarest words are rarest together.
 * Of words that are equally rare, the longer ones. Never a whole sentence, which has at least three words more. Null where no sentence has enough of them.
 */
export function sentenceQuery(passages: readonly Passage[], census: WordCensus): MadeQuery | null {
	let best: { readonly words: readonly string[]; readonly score: number } | null = null;
	for (const { text } of passages) {
		for (const sentence of text.split(/(?<=[.!?])\s+|\n\s*\n/u)) {
			const made = rareWords(sentence, census);
			if (made !== null && (best === null || made.score > best.score)) best = made;
		}
	}
	return best === null ? null : { query: best.words.join(' '), words: best.words, method: 'words' };
}

function rareWords(sentence: string, census: WordCensus): { words: readonly string[]; score: number } | null {
	const all = wordsOf(sentence);
	if (all.length < SENTENCE_WORDS_MIN || all.length > SENTENCE_WORDS_MAX) return null;
	const rated = [...new Set(all)]
		.filter((word) => TELLING.test(word))
		.map((word, at) => ({ word, at, rarity: census.rarity(word) }))
		.filter(({ rarity }) => rarity > 0)
		.sort((a, b) => b.rarity - a.rarity || b.word.length - a.word.length || a.at - b.at)
		.slice(0, WORDS_MAX);
	if (rated.length < WORDS_MIN) return null;
	const words = rated.sort((a, b) => a.at - b.at).map(({ word }) => word);
	return { words, score: rated.reduce((sum, { rarity }) => sum + rarity, 0) };
}
