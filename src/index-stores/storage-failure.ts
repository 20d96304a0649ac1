import { PlimsollError } from '../spec/errors.ts';

/** What went wrong in an engine's storage, and what to do. */
export interface Trouble {
	readonly kind: 'conflict' | 'credentials' | 'gone' | 'unreachable' | 'full' | 'damage';
	/** Ends a sentence that begins with the name of the table. */
	readonly message: string;
}

/** A server of object storage answers a bad signature with pages of hexadecimal digits. */
const INTERNAL_CHARS_MAX = 1_000;

/** Runs what touches storage. Throws PlimsollError `index_conflict` or `storage_failed` in place of what the engine throws. */
export async function storageFailure<T>(
	what: string,
	diagnose: (cause: unknown) => Trouble,
	run: () => Promise<T>,
): Promise<T> {
	try {
		return await run();
	} catch (cause) {
		if (cause instanceof PlimsollError) throw cause;
		const { kind, message } = diagnose(cause);
		throw new PlimsollError(kind === 'conflict' ? 'index_conflict' : 'storage_failed', `${what} ${message}`, {
			internal: (cause instanceof Error ? cause.message : String(cause)).slice(0, INTERNAL_CHARS_MAX),
			cause,
		});
	}
}

/** What an engine threw, below what this file made of it. */
export function rootCause(thrown: unknown): unknown {
	return thrown instanceof PlimsollError && thrown.cause !== undefined ? rootCause(thrown.cause) : thrown;
}

/** Whether what an engine or its users threw speaks of what is stored. */
export function speaksOfDamage(thrown: unknown, diagnose: (cause: unknown) => Trouble): boolean {
	const cause = rootCause(thrown);
	if (cause instanceof PlimsollError) return cause.code === 'index_not_ready';
	return diagnose(cause).kind === 'damage';
}
