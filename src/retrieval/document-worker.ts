import { parentPort } from 'node:worker_threads';
import type { DocumentAnswer, DocumentTask } from './document-reader.ts';
import { fitDocument } from './ingestion/fit-document.ts';
import { readDocument } from './readers/read-document.ts';

/** One document at a time, so that answers come in the order of the tasks. */
let before: Promise<void> = Promise.resolve();

parentPort?.on('message', (task: DocumentTask) => {
	before = before.then(async () => parentPort?.postMessage(await answerTo(task)));
});

async function answerTo({ document, chunker, rules, now }: DocumentTask): Promise<DocumentAnswer> {
	try {
		const chunked = await readDocument(document, chunker);
		return { ok: true, chunked, fit: fitDocument(chunked, rules, now) };
	} catch (cause) {
		return { ok: false, reason: cause instanceof Error ? cause.message : String(cause) };
	}
}
