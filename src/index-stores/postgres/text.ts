import type { LexicalDescription } from '../../spec/index-store.ts';

/** The text search configuration of PostgreSQL that the BM25 index reads text with. */
export const TEXT_CONFIG = 'english';
export const K1 = 1.2;
export const B = 0.75;

/** pg_textsearch scores so; it keeps the length of a chunk in one byte. */
export const LEXICAL: LexicalDescription = {
	formula:
		'score(q, d) = Σ over terms of q: ln(1 + (N − n + 0.5) / (n + 0.5)) · f · (k1 + 1) / (f + k1 · (1 − b + b · |d| / avg|d|)); |d| is exact up to 40 terms and rounded to 4 significant bits beyond',
	k1: K1,
	b: B,
	tokenizer: { engine: 'pg_textsearch', baseTokenizer: 'punctuation', textConfig: TEXT_CONFIG, asciiFolding: true },
};

/** What separates words besides white space: ASCII and Latin-1 punctuation, general and CJK punctuation. */
const SEPARATORS = '[\\u0001-\\u002F\\u003A-\\u0040\\u005B-\\u0060\\u007B-\\u00BF\\u2000-\\u206F\\u3000-\\u303F]+';

/**
 * The function that both chunks and queries pass through: folds accents and splits at punctuation, so that the parser of
 * PostgreSQL sees words alone, and no host names, paths or hyphenated compounds.
 */
export function foldFunction(schema: string): string {
	return `CREATE OR REPLACE FUNCTION ${schema}.fold(text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
		SELECT regexp_replace(regexp_replace(normalize($1, NFKD), '[\\u0300-\\u036F]+', '', 'g'), '${SEPARATORS}', ' ', 'g') $$`;
}
