import type { ReadStream } from 'node:fs';

/** Below this, what was read ahead of the items is too large a part of it. */
const READ_BYTES_MIN = 1_048_576;

/** How many items a file holds, reckoned from the part of it that was read: exact at its end. */
export class FileTotal {
	readonly #bytes: number;
	#stream: ReadStream | null = null;
	#items = 0;

	/** @param bytes of the whole file. */
	constructor(bytes: number) {
		this.#bytes = bytes;
	}

	/** The stream that is read from now on. */
	follow(stream: ReadStream): ReadStream {
		this.#stream = stream;
		this.#items = 0;
		return stream;
	}

	count(): void {
		this.#items++;
	}

	/** Null while too little was read. */
	get items(): number | null {
		const read = this.#stream?.bytesRead ?? 0;
		return read < READ_BYTES_MIN ? null : Math.round((this.#items * Math.max(read, this.#bytes)) / read);
	}
}
