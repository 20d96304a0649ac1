import { asPlimsollError, PlimsollError } from '../spec/errors.ts';
import { errorBody } from './error-response.ts';
import { type Exchange, pathParameter, queryParameter, untilLeft } from './route.ts';

/** Ingests a collection and tells how it goes, as lines of JSON. */
export function ingestRoute({ fresh }: { fresh: boolean }): (exchange: Exchange) => Promise<unknown> {
	return async ({ request, reply, parts, failed }) => {
		const collection = pathParameter(request, 'collection');
		const known = parts.operator.retriever.status().map((status) => status.collection);
		if (!known.includes(collection)) {
			throw new PlimsollError('collection_not_found', `No collection is named "${collection.slice(0, 100)}".`);
		}
		const accept = queryParameter(request, 'accept') === 'true';
		const signal = untilLeft(reply);
		reply.hijack();
		reply.raw.writeHead(200, { 'content-type': 'application/x-ndjson; charset=utf-8' });
		const line = (value: unknown) => reply.raw.write(`${JSON.stringify(value)}\n`);
		try {
			const report = await parts.operator.ingest(collection, {
				fresh,
				accept,
				signal,
				onProgress: (progress) => {
					// A reader that lags behind misses progress, never the report.
					if (!reply.raw.writableNeedDrain) line({ progress });
				},
			});
			line({ report });
		} catch (thrown) {
			const error = asPlimsollError(thrown);
			failed(error);
			line(errorBody(error, null));
		}
		reply.raw.end();
		return reply;
	};
}
