import { DatabaseError } from 'pg';
import { rootCause, type Trouble } from '../storage-failure.ts';

/** What a lost or missing connection and a time-out say; none of it speaks of what is stored. */
const UNREACHABLE =
	/ECONN|ETIMEDOUT|EPIPE|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|terminated|timeout|not queryable|was closed/i;

const UNREACHED: Trouble = {
	kind: 'unreachable',
	message: 'cannot be reached: the database does not answer; check it and index_store.url.',
};

/** What the database threw, by SQLSTATE. */
export function diagnose(thrown: unknown): Trouble {
	const cause = rootCause(thrown);
	if (!(cause instanceof DatabaseError)) {
		if (cause instanceof AggregateError || UNREACHABLE.test(String(cause))) return UNREACHED;
		return { kind: 'damage', message: 'cannot be read: the database holds something else than was written.' };
	}
	const { code = '' } = cause;
	// Serialization failure, deadlock, unique violation of a name that another one just took.
	if (/^(40|23505)/.test(code)) {
		return { kind: 'conflict', message: 'was changed by another writer meanwhile; run the ingestion again.' };
	}
	if (/^(28|42501)/.test(code)) {
		return {
			kind: 'credentials',
			message: 'is refused to the user of index_store.url; check its password and rights.',
		};
	}
	if (code === '3D000') return { kind: 'gone', message: 'has no database: the one of index_store.url is not there.' };
	if (code === '53100') {
		const message =
			'cannot be written: the disk of the database is full; free some space there, then run the ingestion again.';
		return { kind: 'full', message };
	}
	// Corrupted data and indexes, undefined tables, columns and schemas, a file that is gone.
	if (/^(XX00[12]|42P01|42703|3F000|58P01)/.test(code)) {
		return { kind: 'damage', message: 'is damaged: the database misses parts of it or cannot read them.' };
	}
	if (/^(08|57|53|55)/.test(code)) return { ...UNREACHED, message: `cannot be used now: ${cause.message}.` };
	return { kind: 'unreachable', message: `cannot be read or written: ${cause.message}.` };
}
