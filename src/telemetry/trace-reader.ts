import type { TraceReader } from '../spec/trace.ts';
import { openTraceFile, traceFileError } from './trace-file.ts';
import { findTrace, recentRequests, statsByFeature } from './trace-queries.ts';

/**
 * Reads a trace file that no server has open, as a command does. Throws PlimsollError `storage_failed` when the file
 * does not exist, is in use, or is damaged; it is never changed.
 */
export async function openTraceReader(file: string): Promise<TraceReader & { close(): Promise<void> }> {
	const opened = await openTraceFile(file, 'read');
	const named = <T>(query: Promise<T>): Promise<T> =>
		query.catch((thrown) => {
			throw traceFileError(thrown, file);
		});
	return {
		find: (requestId, tenantId) => named(findTrace(opened.reader, requestId, tenantId)),
		recent: (filter) => named(recentRequests(opened.reader, filter)),
		stats: (filter) => named(statsByFeature(opened.reader, filter)),
		close: async () => opened.close(),
	};
}
