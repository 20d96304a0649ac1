import { createReadStream } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { readLines } from '../base/lines.ts';
import { PUSH_BODY_BYTES_MAX } from '../contracts/source-schema.ts';
import { formatOf, whyNoFormat } from '../retrieval/document-format.ts';
import { PlimsollError } from '../spec/errors.ts';

/** What is sent at once. */
const BATCH_DOCUMENTS = 500;
const BATCH_BYTES = 8_388_608;
/** A document in a body takes up to a third more than its bytes. */
const FILE_BYTES_MAX = Math.floor((PUSH_BODY_BYTES_MAX * 3) / 4) - 65_536;

export interface Batch {
	readonly documents: readonly unknown[];
}

/** The documents of files, a batch at a time. @param id of the only file; null: its path. */
export async function* batchesOf(files: readonly string[], id: string | null): AsyncGenerator<Batch> {
	let documents: unknown[] = [];
	let bytes = 0;
	for (const file of files) {
		for await (const { document, size } of documentsIn(file, id)) {
			if (documents.length > 0 && (documents.length >= BATCH_DOCUMENTS || bytes + size > BATCH_BYTES)) {
				yield { documents };
				documents = [];
				bytes = 0;
			}
			documents.push(document);
			bytes += size;
		}
	}
	if (documents.length > 0) yield { documents };
}

interface Found {
	readonly document: unknown;
	/** About, in bytes. */
	readonly size: number;
}

async function* documentsIn(file: string, id: string | null): AsyncGenerator<Found> {
	if (file === '-' || /\.(jsonl|ndjson)$/i.test(file)) {
		yield* linesOf(file);
		return;
	}
	const { size } = await stat(file).catch((cause: unknown) => {
		throw unusable(file, cause instanceof Error ? cause.message : String(cause));
	});
	if (size > FILE_BYTES_MAX) throw unusable(file, `${size} bytes, more than the ${FILE_BYTES_MAX} that can be sent`);
	const bytes = await readFile(file);
	if (/\.json$/i.test(file)) {
		const value = parse(bytes.toString('utf8'), file);
		for (const document of Array.isArray(value) ? value : [value]) {
			yield { document, size: JSON.stringify(document).length };
		}
		return;
	}
	const format = formatOf(file);
	if (format === null) throw unusable(file, whyNoFormat(file));
	const title = path.basename(file, path.extname(file));
	const document = { id: id ?? file.split(path.sep).join('/'), base64: bytes.toString('base64'), format, title };
	yield { document, size: bytes.byteLength * 1.4 };
}

async function* linesOf(file: string): AsyncGenerator<Found> {
	const stream = file === '-' ? process.stdin : createReadStream(file);
	try {
		for await (const { number, bytes } of readLines(stream, FILE_BYTES_MAX)) {
			const place = `${file}, line ${number}`;
			if (bytes === null) throw unusable(place, `longer than ${FILE_BYTES_MAX} bytes`);
			const text = bytes.toString('utf8');
			if (text.trim() !== '') yield { document: parse(text, place), size: bytes.byteLength };
		}
	} catch (cause) {
		if (cause instanceof PlimsollError) throw cause;
		throw unusable(file, cause instanceof Error ? cause.message : String(cause));
	}
}

function parse(text: string, place: string): unknown {
	try {
		return JSON.parse(text);
	} catch (cause) {
		throw unusable(place, cause instanceof Error ? cause.message : String(cause));
	}
}

function unusable(file: string, why: string): PlimsollError {
	return new PlimsollError('request_invalid', `${file} cannot be sent: ${why}.`);
}
