import type { CatalogueEntry } from './error-category.ts';

/** Errors of taking documents in. */
export const INGESTION_ERRORS = {
	ingestion_stopped: {
		category: 'unprocessable',
		retryable: false,
		meaning:
			'A run found that too much is gone, failed or does not fit, that documents are not accounted for, or that its money is spent. The live generation serves on.',
		remedy:
			'The message names the source and what is wrong with it; plimsoll quarantine list shows the documents. Where it is right, plimsoll ingest --accept takes it.',
	},
	quarantine_entry_not_found: {
		category: 'not_found',
		retryable: false,
		meaning: 'No document in quarantine has this id.',
		remedy: 'plimsoll quarantine list shows the ids; a document that came in has none any more.',
	},
} as const satisfies Record<string, CatalogueEntry>;
