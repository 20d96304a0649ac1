import { PlimsollError } from '../../spec/errors.ts';

/** Runs what writes to a table. Throws PlimsollError `storage_failed` in place of what the engine throws. */
export async function storageFailure<T>(table: string, run: () => Promise<T>): Promise<T> {
	try {
		return await run();
	} catch (cause) {
		if (cause instanceof PlimsollError) throw cause;
		throw new PlimsollError(
			'storage_failed',
			`The index table ${table} could not be read or written; check the disk, then run the ingestion again.`,
			{ internal: cause instanceof Error ? cause.message : String(cause), cause },
		);
	}
}
