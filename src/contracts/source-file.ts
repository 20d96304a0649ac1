import { isUtf8 } from 'node:buffer';
import { open, realpath, stat } from 'node:fs/promises';
import { sep } from 'node:path';
import type { Checked, Problem } from '../spec/problem.ts';

/** No file of a project may be larger: a contract is one page, and everything read here is held in memory. */
const FILE_BYTES_MAX = 1_048_576;

/** A file of the user's, read whole. */
export interface SourceFile {
	/** As shown to users: relative to the project folder, with forward slashes. */
	readonly file: string;
	readonly bytes: Uint8Array;
	readonly text: string;
}

/** A problem with a file as a whole. */
export function fileProblem(file: string, message: string, hint: string | null = null): Problem {
	return { file, line: null, column: null, field: null, message, expected: null, hint };
}

export function refused(...problems: Problem[]): { ok: false; value: null; problems: readonly Problem[] } {
	return { ok: false, value: null, problems };
}

export function accepted<T>(value: T): { ok: true; value: T; problems: readonly [] } {
	return { ok: true, value, problems: [] };
}

/**
 * Reads one file of UTF-8 text. Never throws: a file that is missing, unreadable, too large, not a regular file, not
 * UTF-8 or (with `within`) linked to a place outside that folder comes back as a problem.
 */
export async function readSourceFile(
	path: string,
	shownAs: string,
	within: string | null = null,
): Promise<Checked<SourceFile>> {
	try {
		// Asked before opening: opening a named pipe would wait for its writer for ever.
		const about = await stat(path);
		if (!about.isFile()) return refused(fileProblem(shownAs, 'is not a regular file'));
		if (within !== null && !(await realpath(path)).startsWith((await realpath(within)) + sep)) {
			return refused(fileProblem(shownAs, 'is a link that leads out of its folder', 'copy the file into the folder'));
		}
		const bytes = await readCapped(path);
		if (bytes === null) {
			return refused(fileProblem(shownAs, `is larger than ${FILE_BYTES_MAX} bytes`, 'split it or make it shorter'));
		}
		if (!isUtf8(bytes)) {
			const hint = 'save the file as UTF-8';
			return refused({ ...fileProblem(shownAs, 'is not valid UTF-8', hint), line: invalidLine(bytes), column: 1 });
		}
		return accepted({ file: shownAs, bytes, text: new TextDecoder().decode(bytes) });
	} catch (error) {
		return refused(fileProblem(shownAs, readFailure(error)));
	}
}

/** Why the file system refused, in words. */
export function readFailure(error: unknown): string {
	const code = error instanceof Error && 'code' in error ? String(error.code) : '';
	if (code === 'ENOENT') return 'does not exist';
	if (code === 'ELOOP') return 'is a symbolic link that leads back to itself';
	if (code === 'EACCES' || code === 'EPERM') return 'cannot be read: permission denied';
	if (code === 'ENOTDIR') return 'cannot be read: a part of its path is not a folder';
	return `cannot be read: ${code || String(error)}`;
}

/** Null when the file is too large; asked again while reading, since it may grow after `stat`. */
async function readCapped(path: string): Promise<Uint8Array | null> {
	const handle = await open(path, 'r');
	try {
		const buffer = Buffer.alloc(Math.min((await handle.stat()).size, FILE_BYTES_MAX) + 1);
		let length = 0;
		while (length < buffer.byteLength) {
			const { bytesRead } = await handle.read(buffer, length, buffer.byteLength - length, length);
			if (bytesRead === 0) break;
			length += bytesRead;
		}
		return length > FILE_BYTES_MAX ? null : buffer.subarray(0, length);
	} finally {
		await handle.close();
	}
}

function invalidLine(bytes: Uint8Array): number {
	let line = 1;
	for (let start = 0; start < bytes.byteLength; line++) {
		const end = bytes.indexOf(10, start);
		const stop = end === -1 ? bytes.byteLength : end;
		if (!isUtf8(bytes.subarray(start, stop))) break;
		start = stop + 1;
	}
	return line;
}
