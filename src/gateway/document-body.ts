import { z } from 'zod';
import { metaOf } from '../retrieval/document-meta.ts';
import { DOCUMENT_FORMATS } from '../spec/document.ts';
import { PlimsollError } from '../spec/errors.ts';
import type { PushContent, PushInput, Refused } from '../spec/push.ts';
import { checkBody, parseJsonBody } from './json-body.ts';

/** Documents of one request. */
const DOCUMENTS_MAX = 1_000;

/** Values of one body, or of one of its lines. */
const VALUES_MAX = 1_000_000;

const ID = z.string().min(1).max(1_024);

const DocumentBody = z.strictObject({
	id: ID.meta({ description: 'Any characters; a document of an id that is there is replaced.' }),
	text: z.string().nullish().meta({ description: 'Its text; either this or base64.' }),
	base64: z.string().nullish().meta({ description: 'Its bytes, for PDF, Word and other encodings than UTF-8.' }),
	format: z.enum(DOCUMENT_FORMATS).nullish().meta({ description: 'How it is read (default text).' }),
	title: z.string().max(1_000).nullish().meta({ description: 'Default: what the document says, else its id.' }),
	fields: z
		.record(z.string(), z.unknown())
		.nullish()
		.meta({ description: 'What is known of it, as other sources state it.' }),
});
const DocumentsBody = z.strictObject({ documents: z.array(DocumentBody).min(1).max(DOCUMENTS_MAX) });

/** One document, or a list of them. A body of JSON lines has one document on each line. */
export const PushBody = z.union([DocumentBody, DocumentsBody, z.array(DocumentBody).min(1).max(DOCUMENTS_MAX)]);

export const IdsBody = z.strictObject({ ids: z.array(ID).min(1).max(DOCUMENTS_MAX) });

export const PurgeBody = z.strictObject({
	ids: z.array(ID).min(1).max(DOCUMENTS_MAX).nullish(),
	all: z.literal(true, 'expected true, or ids in its place').nullish(),
	why: z.string().trim().min(1).max(500),
});

/** The documents of a body. */
export interface ReadDocuments {
	readonly documents: readonly (PushInput | Refused)[];
	/** Whether it is one and no list. */
	readonly single: boolean;
}

/** A body as it comes: JSON, or JSON lines. Throws `request_invalid` and `body_too_large`, as the next does. */
export function readBody(bytes: Buffer, isLines: boolean): ReadDocuments {
	const text = bytes.toString('utf8');
	return isLines ? { documents: readLines(text), single: false } : readDocuments(parseJsonBody(text, VALUES_MAX));
}

/** The documents of a parsed body, each read for itself: one that is malformed is refused and keeps no other one out. */
export function readDocuments(body: unknown): ReadDocuments {
	const list = Array.isArray(body) ? body : listIn(body);
	if (list === null) return { documents: [readDocument(body, 'document')], single: true };
	if (list.length === 0) throw empty();
	refuseMany(list.length);
	return { documents: list.map((one, at) => readDocument(one, `documents[${at}]`)), single: false };
}

/** The ids of an order, and whether it is about all. */
export function readPurge(body: unknown): { readonly ids: readonly string[] | null; readonly why: string } {
	const { ids = null, all = null, why } = checkBody(PurgeBody, body);
	if ((ids === null) !== (all === true)) {
		throw new PlimsollError(
			'request_invalid',
			'ids: expected the ids of documents, or all: true for all of the source.',
			{
				param: 'ids',
			},
		);
	}
	return { ids, why };
}

function listIn(body: unknown): unknown[] | null {
	if (typeof body !== 'object' || body === null || !('documents' in body)) return null;
	const { documents } = checkBody(z.strictObject({ documents: z.array(z.unknown()) }), body);
	return documents;
}

function readLines(text: string): (PushInput | Refused)[] {
	const lines = text.split('\n').flatMap((line, at) => (line.trim() === '' ? [] : [{ line, place: `line ${at + 1}` }]));
	if (lines.length === 0) throw empty();
	refuseMany(lines.length);
	return lines.map(({ line, place }) => {
		try {
			return readDocument(parseJsonBody(line, VALUES_MAX), place);
		} catch (thrown) {
			return refused(place, thrown);
		}
	});
}

function readDocument(value: unknown, place: string): PushInput | Refused {
	try {
		const { id, text = null, base64 = null, format = null, title = null, fields } = checkBody(DocumentBody, value);
		return { id, content: contentOf(text, base64), format, title, meta: metaOf(fields ?? {}) };
	} catch (thrown) {
		const id = typeof value === 'object' && value !== null && 'id' in value ? ID.safeParse(value.id) : null;
		return refused(id?.success ? id.data : place, thrown);
	}
}

const TEXT = new TextEncoder();

/** Halves of surrogate pairs are replaced, as everywhere. */
export function contentOf(text: string | null, base64: string | null): PushContent {
	if ((text === null) === (base64 === null)) return { reason: 'expected either text or base64' };
	if (text !== null) return { bytes: TEXT.encode(text), isText: true, isBlank: text.trim() === '' };
	const written = base64 ?? '';
	const bytes = Buffer.from(written, 'base64');
	if (bytes.toString('base64') !== written) {
		return { reason: 'base64: expected base64 with its padding and nothing else' };
	}
	return { bytes, isText: false, isBlank: bytes.byteLength === 0 };
}

function refused(id: string, thrown: unknown): Refused {
	if (!(thrown instanceof PlimsollError)) throw thrown;
	return { id, code: 'malformed', reason: thrown.message.replace(/\.$/, '') };
}

function refuseMany(count: number): void {
	if (count <= DOCUMENTS_MAX) return;
	throw new PlimsollError(
		'body_too_large',
		`${count} documents in one request; send at most ${DOCUMENTS_MAX} at once.`,
	);
}

export function empty(): PlimsollError {
	return new PlimsollError(
		'request_invalid',
		'The body holds no document; a JSON object, a list of them or lines were expected.',
	);
}
