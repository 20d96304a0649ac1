import type { Clock } from '../base/clock.ts';
import type { DocumentOperator } from '../gateway/document-operator.ts';
import type { Caller } from '../spec/identity.ts';
import type { PushAdmin } from '../spec/push.ts';
import type { RecordStore } from '../spec/records.ts';

/** What an operator can do with documents that are sent. A purge is told to the audit log, without the ids. */
export function documentOperator(
	{ push, records, clock }: { push: PushAdmin; records: RecordStore; clock: Clock },
	actor: (by: Caller) => string,
): DocumentOperator {
	return {
		push: (order) => push.push(order),
		remove: (order) => push.remove(order),
		list: (ask) => push.list(ask),
		find: (ask) => push.find(ask),
		stored: () => push.stored(),
		run: (collection, runId) => push.run(collection, runId),
		purge: ({ why, ...order }, by) =>
			push.purge({
				...order,
				onPurged: (source, purged) =>
					records.putAudit({
						at: clock.now(),
						actor: actor(by),
						action: 'documents_purged',
						subject: order.collection,
						tenantId: null,
						detail: { source, asked: order.ids?.length ?? 'all', purged, why },
					}),
			}),
	};
}
