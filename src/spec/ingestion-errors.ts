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
	push_source_unknown: {
		category: 'invalid_request',
		retryable: false,
		meaning: 'The collection has no source of kind push, or several of which none was named, or none of this name.',
		remedy: 'Declare a source {kind: push} in plimsoll.yaml, or name the one that is meant as source.',
	},
	document_refused: {
		category: 'unprocessable',
		retryable: false,
		meaning: 'A document that was sent alone was not stored, for the reason in the message.',
		remedy: 'Correct the document; of documents that are sent together each has a result of its own.',
	},
	document_not_found: {
		category: 'not_found',
		retryable: false,
		meaning: 'No pushed document has this id.',
		remedy: 'plimsoll documents list shows the ids.',
	},
	run_not_found: {
		category: 'not_found',
		retryable: false,
		meaning:
			'No run of the collection has this id; one that had not begun when the server stopped is not known any more.',
		remedy: 'Documents that were acknowledged are stored all the same: look at one of them.',
	},
	quarantine_entry_not_found: {
		category: 'not_found',
		retryable: false,
		meaning: 'No document in quarantine has this id.',
		remedy: 'plimsoll quarantine list shows the ids; a document that came in has none any more.',
	},
} as const satisfies Record<string, CatalogueEntry>;
