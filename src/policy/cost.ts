import type { Price, Usage } from '../spec/model.ts';
import type { EmbeddingPrice } from '../spec/retrieval.ts';

/**
 * What is assumed of an upstream without a price: at or above the list price of nearly every hosted language model
 * sold by the token (30 dollars per million tokens in, 180 out; no discount for cached ones), so that a budget errs on
 * the side of refusing. An upstream that costs nothing says so with a price of zero.
 */
export const UNKNOWN_PRICE: Price = Object.freeze({
	version: 'unknown',
	inputMicrosPerMillion: 30_000_000,
	cachedInputMicrosPerMillion: 30_000_000,
	outputMicrosPerMillion: 180_000_000,
});

/**
 * The same for an embedder: above the list price of every hosted text embedder known to us (at most 0.2 dollars per
 * million tokens), by far less than what language models cost.
 */
const UNKNOWN_EMBEDDING_PRICE: EmbeddingPrice = Object.freeze({ version: 'unknown', inputMicrosPerMillion: 500_000 });

interface Cost {
	/** Integer micro-dollars, rounded up once. */
	readonly micros: number;
	/** `estimated` when the price is unknown or the usage is our own count. */
	readonly source: 'reported' | 'estimated';
	readonly priceVersion: string;
}

/** What an answer cost. Cached tokens are part of the input tokens and are priced once. Throws RangeError for counts that are none. */
export function costOf(usage: Usage, price: Price | null): Cost {
	const { tokensIn, tokensOut, tokensCached, source } = usage;
	const known = price ?? UNKNOWN_PRICE;
	// More cached than sent is a contradiction; the lower count of what was free would be a guess in the payer's favour.
	const cached = Math.min(tokensCached, tokensIn);
	const micros = total([
		[tokensIn - cached, known.inputMicrosPerMillion],
		[cached, known.cachedInputMicrosPerMillion],
		[tokensOut, known.outputMicrosPerMillion],
	]);
	return { micros, source: price === null ? 'estimated' : source, priceVersion: known.version };
}

/**
 * The most that a call can cost, for reserving budget before it: every output token used and no input token cheaper
 * than the dearer of the two input prices (some vendors charge more for writing their cache).
 */
export function worstCaseCost(tokensIn: number, tokensOutMax: number, price: Price | null): number {
	const known = price ?? UNKNOWN_PRICE;
	return total([
		[tokensIn, Math.max(known.inputMicrosPerMillion, known.cachedInputMicrosPerMillion)],
		[tokensOutMax, known.outputMicrosPerMillion],
	]);
}

/** What embedding texts cost. Throws RangeError for counts that are none. */
export function embeddingCost(tokens: number, source: Usage['source'], price: EmbeddingPrice | null): Cost {
	const { version, inputMicrosPerMillion } = price ?? UNKNOWN_EMBEDDING_PRICE;
	const micros = total([[tokens, inputMicrosPerMillion]]);
	return { micros, source: price === null ? 'estimated' : source, priceVersion: version };
}

type Term = readonly [tokens: number, microsPerMillion: number];

/** Σ tokens × price / 1e6, rounded up. Exact: in doubles while every sum stays a safe integer, in BigInt beyond. */
function total(terms: readonly Term[]): number {
	let sum = 0;
	for (const [tokens, rate] of terms) {
		if (!isCount(tokens) || !isCount(rate))
			throw new RangeError(`${tokens} tokens at ${rate} micro-dollars: not counts`);
		sum += tokens * rate;
	}
	if (sum > Number.MAX_SAFE_INTEGER) return exactTotal(terms);
	const rest = sum % 1_000_000;
	return (sum - rest) / 1_000_000 + (rest === 0 ? 0 : 1);
}

function exactTotal(terms: readonly Term[]): number {
	const sum = terms.reduce((so, [tokens, rate]) => so + BigInt(tokens) * BigInt(rate), 0n);
	const micros = Number((sum + 999_999n) / 1_000_000n);
	if (!Number.isSafeInteger(micros)) throw new RangeError('the cost is above nine billion dollars');
	return micros;
}

function isCount(value: number): boolean {
	return Number.isSafeInteger(value) && value >= 0;
}
