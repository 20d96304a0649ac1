import { rootCause, type Trouble } from '../storage-failure.ts';

const CREDENTIALS: Trouble = {
	kind: 'credentials',
	message: 'is refused: the credentials of index_store are wrong, expired or lack rights; renew them, then restart.',
};
const BUCKET_GONE: Trouble = {
	kind: 'gone',
	message: 'cannot be reached: the bucket of index_store.uri is not there; make it, or correct the address.',
};
const UNREACHED: Trouble = {
	kind: 'unreachable',
	message: 'cannot be reached: the storage does not answer; check it and index_store.endpoint.',
};
const CONFLICT: Trouble = {
	kind: 'conflict',
	message: 'was changed by another writer meanwhile; run the ingestion again.',
};
const DAMAGE: Trouble = {
	kind: 'damage',
	message: 'could not be read or written; check the disk, then run the ingestion again.',
};

/** The library throws texts. What a server of object storage said stands in them as XML, with a status before it. */
const SERVER_CODE = /<Code>(\w+)<\/Code>/;
const SERVER_STATUS = /status: (\d{3})/;
/** Behind it everything is the server's, with hexadecimal digits that look like anything. */
const SERVER_TEXT = /body: Some\(.*/s;

const CONFLICTS = /commit conflict|conflicting transaction|incompatible transaction|concurrent commit|already exists/i;
/** The system's limits and rights (ENOMEM, EACCES, ENFILE, EMFILE): they say nothing about the files. */
const LIMITS = /os error (12|13|23|24)\b/;
const FULL = /os error (28|122)\b|no space left/i;
const SILENT =
	/error sending request|connection (refused|reset|closed)|ConnectionRefused|timed? ?out|dns error|credential/i;

/** What went wrong, from what the library threw. */
export function diagnose(thrown: unknown): Trouble {
	const whole = String(rootCause(thrown));
	const text = whole.replace(SERVER_TEXT, '');
	const status = Number(SERVER_STATUS.exec(whole)?.[1] ?? 0);
	const said = status === 0 ? null : fromServer(SERVER_CODE.exec(whole)?.[1] ?? '', status);
	if (said !== null) return said;
	if (CONFLICTS.test(text)) return CONFLICT;
	if (LIMITS.test(text)) return { ...UNREACHED, message: 'cannot be used now: a limit or a right of the system.' };
	if (FULL.test(text))
		return {
			kind: 'full',
			message: 'cannot be written: the disk is full; free some space, then run the ingestion again.',
		};
	return SILENT.test(text) ? UNREACHED : DAMAGE;
}

/** Null for an object that is not there: a part of the index is missing. */
function fromServer(code: string, status: number): Trouble | null {
	if (code === 'NoSuchBucket') return BUCKET_GONE;
	if (status === 401 || status === 403 || /AccessKey|Token|Signature|UserNotFound/.test(code)) return CREDENTIALS;
	if (status === 412 || code === 'ConditionalRequestConflict') return CONFLICT;
	return status === 404 ? null : UNREACHED;
}
