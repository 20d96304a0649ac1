import { join } from 'node:path';
import { randomText } from '../base/ids.ts';
import type { Random } from '../base/random.ts';
import type { ProjectConfig } from '../contracts/project.ts';
import { readSecret, writeSecret } from './secret-file.ts';

const SESSION_KEY_FILE = 'session-key';

/** What sessions are signed with: the configured secret, else one of this data folder, made once. Throws `storage_failed`. */
export function sessionSecret({ dataDir, identity }: ProjectConfig, random: Random): string {
	if (identity.sessionSecret !== null) return identity.sessionSecret;
	const file = join(dataDir, SESSION_KEY_FILE);
	const kept = readSecret(file);
	if (kept !== null && kept !== '') return kept;
	const secret = randomText(random, 52);
	writeSecret(file, secret);
	return secret;
}
