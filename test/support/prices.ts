import type { Price } from '../../src/spec/model.ts';

/** A price in micro-dollars per million tokens, without tiers. */
export function flatPrice(version: string, input: number, output: number, cached = input): Price {
	return {
		version,
		asOf: null,
		inputMicrosPerMillion: input,
		cachedInputMicrosPerMillion: cached,
		cacheWriteMicrosPerMillion: input,
		outputMicrosPerMillion: output,
		reasoningMicrosPerMillion: output,
		tiers: [],
		batch: null,
	};
}
