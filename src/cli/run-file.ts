import { once } from 'node:events';
import { createWriteStream, type WriteStream } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { finished } from 'node:stream/promises';
import { PlimsollError } from '../spec/errors.ts';
import type { Terminal } from './terminal.ts';

/** Where ranked ids go. */
export interface RunOutput {
	/** Resolves when there is room for more. */
	write(text: string): Promise<void>;
	/** The run is whole. */
	keep(): Promise<void>;
	/** The run failed. */
	discard(): Promise<void>;
}

/** A file that appears under its name only when it is whole; without one, standard output. Throws `storage_failed`. */
export async function openRunOutput(file: string | undefined, terminal: Terminal): Promise<RunOutput> {
	if (file === undefined) {
		return { write: (text) => terminal.write(text), keep: async () => {}, discard: async () => {} };
	}
	const partial = `${file}.partial`;
	const stream = createWriteStream(partial);
	try {
		await once(stream, 'open');
	} catch (thrown) {
		throw failed(file, thrown);
	}
	return new FileOutput(file, partial, stream);
}

class FileOutput implements RunOutput {
	readonly #file: string;
	readonly #partial: string;
	readonly #stream: WriteStream;
	#error: unknown = null;

	constructor(file: string, partial: string, stream: WriteStream) {
		this.#file = file;
		this.#partial = partial;
		this.#stream = stream;
		stream.on('error', (error) => {
			this.#error = error;
		});
	}

	async write(text: string): Promise<void> {
		try {
			if (this.#error !== null) throw this.#error;
			if (!this.#stream.write(text)) await once(this.#stream, 'drain');
		} catch (thrown) {
			throw failed(this.#file, thrown);
		}
	}

	async keep(): Promise<void> {
		try {
			this.#stream.end();
			await finished(this.#stream);
			await rename(this.#partial, this.#file);
		} catch (thrown) {
			throw failed(this.#file, thrown);
		}
	}

	async discard(): Promise<void> {
		this.#stream.destroy();
		await rm(this.#partial, { force: true });
	}
}

function failed(file: string, cause: unknown): PlimsollError {
	const why = cause instanceof Error ? cause.message : String(cause);
	return new PlimsollError('storage_failed', `The file ${file} cannot be written: ${why}`, { cause });
}
