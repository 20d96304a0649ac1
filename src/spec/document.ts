/** How a document is read. */
export const DOCUMENT_FORMATS = ['text', 'markdown', 'html', 'csv', 'code', 'pdf', 'docx'] as const;
export type DocumentFormat = (typeof DOCUMENT_FORMATS)[number];

/** A value that a document states of itself: small, flat, JSON. */
export type StatedValue = string | number | boolean | readonly (string | number | boolean)[];

/** By name. What was nested has dots in its name (`author.name`); null and absent are the same. */
export type DocumentFields = Readonly<Record<string, StatedValue>>;

/**
 * What is odd about a document and kept: counted in statistics, never acted upon.
 * * `suspicious_instructions`: its text holds sentences made to instruct a model, which stay as they are.
 * * `script_in_text`: its text holds a script, which is text like any other.
 * * `front_matter_unreadable`: that is not valid YAML and gave no fields.
 * * `encoding_guessed`: its encoding was neither stated nor certain.
 * * `fields_cut`: it states more fields, or longer or deeper ones, than are kept.
 */
export type DocumentMark =
	| 'suspicious_instructions'
	| 'script_in_text'
	| 'front_matter_unreadable'
	| 'encoding_guessed'
	| 'fields_cut';

/** What is known of a document besides its text. */
export interface DocumentMeta {
	readonly fields: DocumentFields;
	/** As stated, in lower case, such as `de` or `pt-br`; null when nothing states it. */
	readonly language: string | null;
	/** Milliseconds since the epoch, negative before 1970; null when nothing states it. */
	readonly updatedAt: number | null;
	/** A media type without parameters, such as `text/html`. */
	readonly contentType: string | null;
	/** Where a reader finds it. */
	readonly url: string | null;
	readonly marks: readonly DocumentMark[];
}
