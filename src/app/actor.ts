import type { Caller } from '../spec/identity.ts';
import { PROCESS_ACTOR } from './keys.ts';
import type { UserHash } from './user-hash.ts';

/** How the audit log names who asked for a change. */
export function actorOf(caller: Caller, users: UserHash): string {
	if (caller.kind === 'in_process') return PROCESS_ACTOR;
	if (caller.kind === 'key') return `key:${caller.keyId}`;
	return caller.user === null ? `${caller.keyId}` : `${caller.keyId}:${users.of(caller.tenantId, caller.user)}`;
}
