import type { Clock } from '../base/clock.ts';
import type { Operator } from '../gateway/operator.ts';
import type { CanaryMonitor } from '../retrieval/canary-monitor.ts';
import type { HealthRecords } from '../spec/health-records.ts';
import type { RecordStore } from '../spec/records.ts';
import { actorOf } from './actor.ts';
import type { UserHash } from './user-hash.ts';

/** The operator's part about canaries. */
export function canaryOperator(parts: {
	readonly canaries: CanaryMonitor;
	readonly health: HealthRecords;
	readonly records: RecordStore;
	readonly users: UserHash;
	readonly clock: Clock;
}) {
	const { canaries, health, records, users, clock } = parts;
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
		listCanaryRuns: (ask) => health.listCanaryRuns(ask),
	} satisfies Partial<Operator>;
}
