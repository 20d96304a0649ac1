import type { LexicalDescription } from '../../spec/index-store.ts';

/** How the full-text index reads text: split at white space and punctuation, folded, stemmed (Snowball), English stop words out. */
export const TOKENIZER = {
	baseTokenizer: 'simple',
	language: 'English',
	lowercase: true,
	asciiFolding: true,
	stem: true,
	removeStopWords: true,
	maxTokenLength: 40,
	withPosition: false,
} as const;

/** Lance scores with these constants; they are not adjustable. */
export const LEXICAL: LexicalDescription = {
	formula:
		'score(q, d) = Σ over terms of q: ln(1 + (N − n + 0.5) / (n + 0.5)) · f · (k1 + 1) / (f + k1 · (1 − b + b · |d| / avg|d|))',
	k1: 1.2,
	b: 0.75,
	tokenizer: { ...TOKENIZER },
};
