import type { Clock } from '../base/clock.ts';
import type { Operator } from '../gateway/operator.ts';
import type { CanaryMonitor } from '../retrieval/canary-monitor.ts';
import type { Retrieval } from '../retrieval/retrieval.ts';
import { PlimsollError } from '../spec/errors.ts';
import type { HealthRecords } from '../spec/health-records.ts';
import type { RecordStore } from '../spec/records.ts';
import { actorOf } from './actor.ts';
import type { LoadedProject } from './load-project.ts';
import type { UserHash } from './user-hash.ts';

/** The latest rated questions that suggestions are made of. */
const QUESTIONS_MAX = 5_000;

/** The operator's part about canaries. */
export function canaryOperator(parts: {
	readonly canaries: CanaryMonitor;
	readonly retrieval: Pick<Retrieval, 'suggestCanaries'>;
	/** With what collections are held to now. */
	readonly project: () => Pick<LoadedProject, 'canaries'>;
	readonly health: HealthRecords;
	readonly records: RecordStore;
	readonly users: UserHash;
	readonly clock: Clock;
}) {
	const { canaries, retrieval, project, health, records, users, clock } = parts;
	return {
		collectionHealth: () => canaries.health(),
		runCanaries: (collection, options) => canaries.run(collection, options),
		async acceptCanaries(collection, by) {
			const run = await canaries.accept(collection);
			await records.putAudit({
				at: clock.now(),
				actor: actorOf(by, users),
				action: 'canaries_accepted',
				subject: collection,
				tenantId: null,
				detail: { generation: run.generation, recall: run.recall.value },
			});
			return run;
		},
		async suggestCanaries(collection, ask) {
			const set = project().canaries.get(collection);
			if (set === undefined) {
				const message = `No collection is named "${collection.slice(0, 100)}".`;
				throw new PlimsollError('collection_not_found', message, { param: 'collection' });
			}
			const { tenant, ...rest } = ask;
			const ratings =
				tenant === null ? [] : await records.feedback.questions({ tenantId: tenant, collection, limit: QUESTIONS_MAX });
			const traffic = tenant === null ? null : { tenantId: tenant, ratings };
			return retrieval.suggestCanaries({ ...rest, set, traffic });
		},
		listCanaryRuns: (ask) => health.listCanaryRuns(ask),
	} satisfies Partial<Operator>;
}
