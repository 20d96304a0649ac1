import type { Price, Rates, Usage } from '../spec/model.ts';
import type { EmbeddingPrice } from '../spec/retrieval.ts';

/**
 * What is assumed of an upstream without a price: at or above the list price of nearly every hosted language model
 * sold by the token (30 dollars per million tokens in, 180 out; no discount for cached ones), so that a budget errs on
 * the side of refusing. An upstream that costs nothing says so with `free: true`.
 */
export const UNKNOWN_PRICE: Price = Object.freeze({
	version: 'unknown',
	asOf: null,
	inputMicrosPerMillion: 30_000_000,
	cachedInputMicrosPerMillion: 30_000_000,
	// Writing a cache costs up to twice the input.
	cacheWriteMicrosPerMillion: 60_000_000,
	outputMicrosPerMillion: 180_000_000,
	reasoningMicrosPerMillion: 180_000_000,
	tiers: Object.freeze([]),
	batch: null,
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

/**
 * What an answer cost. Cached tokens are part of the input, reasoning tokens part of the output: each is priced once.
 * Throws RangeError for counts that are none.
 */
export function costOf(usage: Usage, price: Price | null): Cost {
	const { tokensIn, tokensOut, source } = usage;
	const known = price ?? UNKNOWN_PRICE;
	const rates = ratesFor(known, tokensIn, usage.batch === true);
	// More in the parts than in the whole is a contradiction; what is left of the whole bounds them.
	const cached = Math.min(usage.tokensCached, tokensIn);
	const written = Math.min(usage.tokensCacheWritten, tokensIn - cached);
	const reasoning = Math.min(usage.tokensReasoning, tokensOut);
	const micros = total([
		[tokensIn - cached - written, rates.inputMicrosPerMillion],
		[cached, rates.cachedInputMicrosPerMillion],
		[written, rates.cacheWriteMicrosPerMillion],
		[tokensOut - reasoning, rates.outputMicrosPerMillion],
		[reasoning, rates.reasoningMicrosPerMillion],
	]);
	return { micros, source: price === null ? 'estimated' : source, priceVersion: known.version };
}

/**
 * The most that a call can cost, for reserving budget before it: every output token used, and every token at the
 * dearest rate that it may turn out to have.
 */
export function worstCaseCost(tokensIn: number, tokensOutMax: number, price: Price | null): number {
	const known = price ?? UNKNOWN_PRICE;
	const usual = ratesFor(known, tokensIn, false);
	const batch = known.batch ?? usual;
	return total([
		[tokensIn, Math.max(dearestInput(usual), dearestInput(batch))],
		[tokensOutMax, Math.max(dearestOutput(usual), dearestOutput(batch))],
	]);
}

/** What embedding texts cost. Throws RangeError for counts that are none. */
export function embeddingCost(tokens: number, source: Usage['source'], price: EmbeddingPrice | null): Cost {
	const { version, inputMicrosPerMillion } = price ?? UNKNOWN_EMBEDDING_PRICE;
	const micros = total([[tokens, inputMicrosPerMillion]]);
	return { micros, source: price === null ? 'estimated' : source, priceVersion: version };
}

/** The rates of a call: all of it has those of the tier that its input reaches. */
function ratesFor(price: Price, tokensIn: number, isBatch: boolean): Rates {
	if (isBatch && price.batch !== null) return price.batch;
	return price.tiers.findLast(({ tokensInAbove }) => tokensIn > tokensInAbove) ?? price;
}

function dearestInput(rates: Rates): number {
	return Math.max(rates.inputMicrosPerMillion, rates.cachedInputMicrosPerMillion, rates.cacheWriteMicrosPerMillion);
}

function dearestOutput({ outputMicrosPerMillion, reasoningMicrosPerMillion }: Rates): number {
	return Math.max(outputMicrosPerMillion, reasoningMicrosPerMillion);
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

/** What several upstreams used for one answer; null: neither used anything. */
export function summedUsage(first: Usage | null, second: Usage | null): Usage | null {
	if (first === null || second === null) return first ?? second;
	return {
		tokensIn: first.tokensIn + second.tokensIn,
		tokensOut: first.tokensOut + second.tokensOut,
		tokensCached: first.tokensCached + second.tokensCached,
		tokensCacheWritten: first.tokensCacheWritten + second.tokensCacheWritten,
		tokensReasoning: first.tokensReasoning + second.tokensReasoning,
		source: first.source === 'reported' ? second.source : 'estimated',
	};
}
