import type { CatalogueEntry } from './error-category.ts';

/** About index generations. */
export const INDEX_ERRORS = {
	embedding_identity_changed: {
		category: 'unavailable',
		retryable: false,
		meaning:
			'The configured embedder does not make the vectors that the live index holds, and the search cannot, or by on_identity_change may not, do without them.',
		remedy: 'plimsoll embedders check says what differs; a new generation cures it, or the embedder of before.',
	},
	embedding_budget_exceeded: {
		category: 'unprocessable',
		retryable: false,
		meaning: 'The next texts of an ingestion could cost more than is left of its cap.',
		remedy: 'Raise the cap that the message names and run the ingestion again: it goes on from what was written.',
	},
	generation_not_found: {
		category: 'not_found',
		retryable: false,
		meaning: 'The collection has no generation of this name.',
		remedy: 'plimsoll index list shows the names.',
	},
	generation_conflict: {
		category: 'conflict',
		retryable: true,
		meaning:
			'Another generation went live, or another process wrote to the index, while this one was built or promoted.',
		remedy: 'Look at plimsoll index list, then try again; what was written is kept.',
	},
	generation_refused: {
		category: 'conflict',
		retryable: false,
		meaning:
			'The generation cannot go live: it is not sealed, its rows are gone, or a check that nobody can overrule fails.',
		remedy: 'Correct what the message names; plimsoll index rebuild builds a new generation.',
	},
} as const satisfies Record<string, CatalogueEntry>;
