import type { ChunkerConfig } from '../../src/contracts/collection.ts';

/** A chunker as a collection's file gives it, small enough for tests. */
export function chunkerConfig(overrides: Partial<ChunkerConfig> = {}): ChunkerConfig {
	return {
		kind: 'structure',
		tokensMax: 200,
		tokensMin: 20,
		overlapTokens: 0,
		rowsMax: null,
		header: { template: '{title}\n{headings}\n{context}', tokensMax: 128 },
		...overrides,
	};
}
