import { createHash, hash } from 'node:crypto';

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
