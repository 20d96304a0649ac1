import { parentPort } from 'node:worker_threads';
import type { DocumentAnswer, DocumentTask } from './document-reader.ts';
import { readDocument } from './readers/read-document.ts';

parentPort?.on('message', async ({ document, chunker }: DocumentTask) => {
	const answer: DocumentAnswer = await readDocument(document, chunker).then(
		(chunked) => ({ ok: true, chunked }),
		(cause: unknown) => ({ ok: false, reason: cause instanceof Error ? cause.message : String(cause) }),
	);
	parentPort?.postMessage(answer);
});
