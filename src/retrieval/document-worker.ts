import { parentPort } from 'node:worker_threads';
import type { DocumentAnswer, PostedTasks, ReaderSettings } from './document-reader.ts';
import { fitDocument } from './ingestion/fit-document.ts';
import { readDocument } from './readers/read-document.ts';

/** One document at a time, so that answers come in the order of the tasks. */
let before: Promise<void> = Promise.resolve();
let settings: ReaderSettings | null = null;

parentPort?.on('message', ({ settings: changed, tasks }: PostedTasks) => {
	settings = changed ?? settings;
	const by = settings;
	for (const task of tasks) before = before.then(async () => parentPort?.postMessage(await answerTo(task, by)));
});

async function answerTo(
	{ document, now }: PostedTasks['tasks'][number],
	by: ReaderSettings | null,
): Promise<DocumentAnswer> {
	try {
		if (by === null) throw new Error('nothing says how to read it');
		const chunked = await readDocument(document, by.chunker);
		return { ok: true, chunked, fit: fitDocument(chunked, by.rules, now) };
	} catch (cause) {
		return { ok: false, reason: cause instanceof Error ? cause.message : String(cause) };
	}
}
