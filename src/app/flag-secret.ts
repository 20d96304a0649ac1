import { randomText } from '../base/ids.ts';
import type { Random } from '../base/random.ts';
import { readSecret, writeSecret } from './secret-file.ts';

export const FLAG_KEY_FILE = 'flag-key';

/**
 * The data folder's own secret for drawing variants; makes it at the first call. It is not the secret of the users'
 * hashes: that one is rotated, and a rotation must not put everybody into other variants. Throws `storage_failed`.
 */
export function flagSecret(file: string, random: Random): string {
	const kept = readSecret(file);
	if (kept !== null && kept !== '') return kept;
	const secret = randomText(random, 52);
	writeSecret(file, secret);
	return secret;
}
