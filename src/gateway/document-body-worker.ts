import { parentPort } from 'node:worker_threads';
import { asPlimsollError } from '../spec/errors.ts';
import type { PushInput, Refused } from '../spec/push.ts';
import type { BodyAnswer, BodyAsk } from './document-bodies.ts';
import { type ReadDocuments, readBody } from './document-body.ts';

/** What one answer holds, so that taking it keeps nobody waiting: documents, and bytes that are copied. */
const PART_DOCUMENTS_MAX = 50;
const PART_BYTES_MAX = 131_072;
/** Larger contents are handed over, smaller ones copied. */
const COPIED_BYTES_MAX = 16_384;

let read: ReadDocuments = { documents: [], single: false };
let next = 0;

parentPort?.on('message', (ask: BodyAsk) => {
	try {
		if (ask.kind === 'read') {
			read = readBody(Buffer.from(ask.bytes.buffer, ask.bytes.byteOffset, ask.bytes.byteLength), ask.isLines);
			next = 0;
		}
		answer();
	} catch (thrown) {
		const { code, message, param } = asPlimsollError(thrown);
		parentPort?.postMessage({ kind: 'refused', code, message, param: param ?? null } satisfies BodyAnswer);
	}
});

/** The next part of what was read. */
function answer(): void {
	const documents: (PushInput | Refused)[] = [];
	const handed: ArrayBuffer[] = [];
	for (let bytes = 0; bytes < PART_BYTES_MAX && documents.length < PART_DOCUMENTS_MAX; next++) {
		const one = read.documents[next];
		if (!one) break;
		const { posted, handedOver, copied } = packed(one);
		documents.push(posted);
		if (handedOver) handed.push(handedOver);
		bytes += copied;
	}
	const isLast = next >= read.documents.length;
	const { single } = read;
	// What was handed over must not be kept.
	if (isLast) read = { documents: [], single };
	parentPort?.postMessage({ kind: 'part', documents, single, isLast } satisfies BodyAnswer, handed);
}

function packed(one: PushInput | Refused) {
	if ('code' in one || 'reason' in one.content) return { posted: one, handedOver: null, copied: 0 };
	const { content, meta } = one;
	// A small buffer shares its memory with others, all of which would be copied.
	const bytes = new Uint8Array(content.bytes);
	const isHanded = bytes.byteLength > COPIED_BYTES_MAX;
	return {
		posted: { ...one, content: { ...content, bytes } },
		handedOver: isHanded ? bytes.buffer : null,
		copied: (isHanded ? 0 : bytes.byteLength) + JSON.stringify(meta.fields).length,
	};
}
