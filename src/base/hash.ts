import { createHash, hash } from 'node:crypto';
import { open } from 'node:fs/promises';

/** SHA-256 of UTF-8 text or bytes, lower-case hex. */
export function sha256(data: string | Uint8Array): string {
	return hash('sha256', data, 'hex');
}

/** A SHA-256 over several parts, each preceded by its byte length, so that no two lists of parts collide. */
export function sha256Of(parts: Iterable<string | Uint8Array>): string {
	const digest = createHash('sha256');
	for (const part of parts) {
		const bytes = typeof part === 'string' ? Buffer.from(part) : part;
		digest.update(`${bytes.byteLength}:`);
		digest.update(bytes);
	}
	return digest.digest('hex');
}

/** What is in memory of a file that is read. */
const BLOCK_BYTES = 1_048_576;

/** As `sha256Of` has it, of the bytes of files, one block at a time. Throws when a file is not there, or changes while it is read. */
export async function sha256OfFiles(files: Iterable<string>): Promise<string> {
	const digest = createHash('sha256');
	const block = Buffer.allocUnsafe(BLOCK_BYTES);
	for (const file of files) {
		await using handle = await open(file);
		const { size } = await handle.stat();
		digest.update(`${size}:`);
		let read = 0;
		for (;;) {
			const { bytesRead } = await handle.read(block, 0, BLOCK_BYTES, read);
			if (bytesRead === 0) break;
			digest.update(block.subarray(0, bytesRead));
			read += bytesRead;
		}
		if (read !== size) throw new Error(`${file} changed while it was read`);
	}
	return digest.digest('hex');
}
