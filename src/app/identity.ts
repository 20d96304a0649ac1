import { join } from 'node:path';
import type { Logger } from 'pino';
import type { Clock } from '../base/clock.ts';
import { createHttpClient } from '../base/http.ts';
import type { Random } from '../base/random.ts';
import { BearerAuthenticator } from '../identity/authenticator.ts';
import { Keyring } from '../identity/keyring.ts';
import { Sessions } from '../identity/sessions.ts';
import { SignInGuard } from '../identity/sign-in-guard.ts';
import { TokenVerifier } from '../identity/token-verifier.ts';
import type { RecordStore } from '../spec/records.ts';
import { KeyAdmin } from './keys.ts';
import type { LoadedProject } from './load-project.ts';
import type { ReplicatedRecords } from './replicated-records.ts';
import { sessionSecret } from './session-secret.ts';
import { USER_HASH_KEY_FILE, UserHash } from './user-hash.ts';

const CONNECTIONS = { connectionsMax: 2, connectMs: 3000 };

interface IdentityParts {
	readonly records: RecordStore;
	readonly replication: ReplicatedRecords;
	readonly clock: Clock;
	readonly random: Random;
	readonly log: Logger;
}

/** Who may enter, and as whom: keys, tokens, sessions and the hashes of users. */
export async function openIdentity({ config }: LoadedProject, parts: IdentityParts, opened: AsyncDisposableStack) {
	const { records, replication, clock, random, log } = parts;
	const warn = (message: string) => log.warn(message);
	const keyring = new Keyring(clock);
	const keys = new KeyAdmin({ records, keyring, clock, random, onWritten: replication.keysWritten });
	await keys.load();
	opened.defer(keys.recordUses(warn));
	const users = new UserHash(join(config.dataDir, USER_HASH_KEY_FILE), random);
	const http = opened.adopt(createHttpClient(CONNECTIONS), (client) => client.close());
	const tokens = new TokenVerifier({ clock, http, warn }, config.identity.jwt);
	const guard = new SignInGuard(clock);
	const { sessionLifeMs: lifeMs } = config.identity;
	const sessions = new Sessions({ keyring, guard, clock, random, secret: sessionSecret(config, random), lifeMs });
	return { keys, users, tokens, sessions, authenticator: new BearerAuthenticator(keyring, tokens) };
}
