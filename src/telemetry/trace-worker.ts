import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import { PlimsollError } from '../spec/errors.ts';
import { TraceArchive } from './trace-archive.ts';
import { traceFileError } from './trace-file.ts';
import type { Answer, FromWorker, Question, ToWorker, WorkerStart } from './trace-protocol.ts';

/** Answers questions about one trace file: writes in order, reads in order, one of each at a time. */
class TraceWorker {
	readonly #port: MessagePort;
	readonly #file: string;
	readonly #archive: TraceArchive;
	readonly #cancelled = new Set<number>();
	#reading: number | null = null;
	#writes: Promise<void> = Promise.resolve();
	#reads: Promise<void> = Promise.resolve();

	constructor(port: MessagePort, { file, now }: WorkerStart) {
		this.#port = port;
		this.#file = file;
		this.#archive = new TraceArchive({
			file,
			now: () => now,
			warn: (message) => this.#say({ kind: 'warning', message }),
		});
	}

	async start(): Promise<void> {
		try {
			await this.#archive.open();
		} catch (thrown) {
			const { message, internal } = traceFileError(thrown, this.#file);
			this.#say({ kind: 'refused', message, internal });
			this.#port.close();
			return;
		}
		this.#port.on('message', (message: ToWorker) => this.#receive(message));
		this.#say({ kind: 'opened' });
	}

	#receive(message: ToWorker): void {
		if (message.kind === 'cancel') {
			if (this.#reading === message.id) this.#archive.interrupt();
			else this.#cancelled.add(message.id);
			return;
		}
		const { id, question } = message;
		if (question.kind === 'write' || question.kind === 'prune') {
			this.#writes = this.#writes.then(() => this.#answer(id, question));
		} else if (question.kind === 'close') {
			this.#writes = Promise.all([this.#writes, this.#reads]).then(() => this.#answer(id, question));
		} else {
			this.#reads = this.#reads.then(() => this.#read(id, question));
		}
	}

	async #read(id: number, question: Question): Promise<void> {
		if (this.#cancelled.delete(id)) return;
		this.#reading = id;
		await this.#answer(id, question);
		this.#reading = null;
		this.#cancelled.delete(id);
	}

	async #answer(id: number, question: Question): Promise<void> {
		try {
			this.#say({ kind: 'answer', id, answer: await this.#work(question) });
		} catch (thrown) {
			const { message, internal } = thrown instanceof PlimsollError ? thrown : traceFileError(thrown, this.#file);
			this.#say({ kind: 'failed', id, message, internal });
		}
		if (question.kind === 'close') this.#port.close();
	}

	async #work(question: Question): Promise<Answer> {
		switch (question.kind) {
			case 'write':
				return { kind: 'write', value: await this.#archive.write(question.traces) };
			case 'prune':
				return { kind: 'prune', value: await this.#archive.prune(question.beforeMs) };
			case 'find':
				return { kind: 'find', value: await this.#archive.find(question.requestId, question.tenantId) };
			case 'recent':
				return { kind: 'recent', value: await this.#archive.recent(question.filter) };
			case 'stats':
				return { kind: 'stats', value: await this.#archive.stats(question.filter) };
			case 'close':
				this.#archive.close();
				return { kind: 'close', value: null };
		}
	}

	#say(message: FromWorker): void {
		this.#port.postMessage(message);
	}
}

if (!parentPort) throw new Error('trace-worker runs as a worker of the trace store, not by itself');
await new TraceWorker(parentPort, workerData).start();
