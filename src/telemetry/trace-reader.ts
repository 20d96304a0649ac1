import { PlimsollError } from '../spec/errors.ts';
import type { TraceReader } from '../spec/trace.ts';
import { isDamaged, openTraceFile, traceFileError } from './trace-file.ts';
import { findTrace, recentRequests, statsByFeature } from './trace-queries.ts';

/**
 * Reads a trace file that no server has open, as a command does. Throws PlimsollError `storage_failed` when the file
 * does not exist, is in use, or is damaged. It is left as it is, but for columns that an older release's file lacks.
 */
export async function openTraceReader(file: string): Promise<TraceReader & { close(): Promise<void> }> {
	const opened = await openTraceFile(file, 'read').catch((thrown) => {
		throw withRemedy(thrown, file);
	});
	const named = <T>(query: Promise<T>): Promise<T> =>
		query.catch((thrown) => {
			throw withRemedy(thrown, file);
		});
	return {
		find: (requestId, tenantId) => named(findTrace(opened.reader, requestId, tenantId)),
		recent: (filter) => named(recentRequests(opened.reader, filter)),
		stats: (filter) => named(statsByFeature(opened.reader, filter)),
		close: async () => opened.close(),
	};
}

/** Only a store that writes may move the file, so that the reader says who does. */
function withRemedy(thrown: unknown, file: string): PlimsollError {
	const error = traceFileError(thrown, file);
	if (!isDamaged(error)) return error;
	const message = `${error.message} The next plimsoll start sets it aside and begins a new one.`;
	return new PlimsollError('storage_failed', message, { cause: error });
}
