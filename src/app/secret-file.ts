import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { PlimsollError } from '../spec/errors.ts';

/** The text of a secret file; null when there is none. Throws `storage_failed`. */
export function readSecret(file: string): string | null {
	try {
		return readFileSync(file, 'utf8').trim();
	} catch (thrown) {
		if (thrown instanceof Error && 'code' in thrown && thrown.code === 'ENOENT') return null;
		throw failed(file, thrown);
	}
}

/** Writes a secret that only the owner of the process can read. Throws `storage_failed`. */
export function writeSecret(file: string, secret: string): void {
	try {
		writeFileSync(file, `${secret}\n`, { mode: 0o600 });
		// The mode above counts only for a new file.
		chmodSync(file, 0o600);
	} catch (thrown) {
		throw failed(file, thrown);
	}
}

function failed(file: string, cause: unknown): PlimsollError {
	const why = cause instanceof Error ? cause.message : String(cause);
	return new PlimsollError('storage_failed', `The secret file ${file} cannot be read or written: ${why}`, { cause });
}
