import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import { nextTurn } from '../base/clock.ts';
import type { IdempotencyBounds } from '../spec/idempotency.ts';
import { IDEMPOTENCY_SCHEMA } from './idempotency-schema.ts';
import { IdempotencyTable, type Operation, type OperationResult } from './idempotency-table.ts';
import { openSqliteFile, storageError } from './sqlite-file.ts';

export interface WorkerStart {
	readonly file: string;
	readonly bounds: IdempotencyBounds;
}

export type ToWorker = { readonly id: number; readonly operation: Operation | { readonly kind: 'close' } };

export type FromWorker =
	| { readonly kind: 'opened' }
	| { readonly kind: 'refused'; readonly message: string }
	| { readonly kind: 'done'; readonly id: number; readonly result: OperationResult }
	| { readonly kind: 'failed'; readonly id: number; readonly message: string };

/** Most operations in one transaction. */
const BATCH_MAX = 256;

/** Writes for all that wait at once: the disk is asked to sync once a batch, and not on the thread that serves. */
async function serve(port: MessagePort, { file, bounds }: WorkerStart): Promise<void> {
	const say = (message: FromWorker) => port.postMessage(message);
	const explain = (thrown: unknown) => storageError(thrown, file, IDEMPOTENCY_SCHEMA.title).message;
	let table: IdempotencyTable;
	try {
		table = new IdempotencyTable(openSqliteFile(file, IDEMPOTENCY_SCHEMA), bounds);
	} catch (thrown) {
		say({ kind: 'refused', message: explain(thrown) });
		port.close();
		return;
	}
	const waiting: { id: number; operation: Operation }[] = [];
	let isWriting = false;
	const writeAll = async () => {
		isWriting = true;
		// What arrived together is written together.
		await nextTurn();
		while (waiting.length > 0) {
			const batch = waiting.splice(0, BATCH_MAX);
			try {
				const results = table.batch(batch.map(({ operation }) => operation));
				for (const [at, { id }] of batch.entries()) {
					say({ kind: 'done', id, result: results[at] as OperationResult });
				}
			} catch (thrown) {
				const message = explain(thrown);
				for (const { id } of batch) say({ kind: 'failed', id, message });
			}
			await nextTurn();
		}
		isWriting = false;
	};
	let last: Promise<void> = Promise.resolve();
	port.on('message', ({ id, operation }: ToWorker) => {
		if (operation.kind === 'close') {
			void last.then(() => {
				table.close();
				say({ kind: 'done', id, result: true });
				port.close();
			});
			return;
		}
		waiting.push({ id, operation });
		if (!isWriting) last = writeAll();
	});
	say({ kind: 'opened' });
}

if (!parentPort) throw new Error('idempotency-worker runs as a worker of the idempotency store, not by itself');
await serve(parentPort, workerData);
