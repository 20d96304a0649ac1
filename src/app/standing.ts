import type { Retrieval } from '../retrieval/retrieval.ts';
import type { Idempotency } from '../runtime/idempotency.ts';
import type { Runtime } from '../runtime/runtime.ts';
import type { RecordStore } from '../spec/records.ts';
import type { SharedState } from '../spec/shared-state.ts';
import type { Standing } from '../telemetry/standing.ts';
import type { TraceStore } from '../telemetry/trace-store.ts';
import type { OpenAlerts } from './alerts.ts';
import { version } from './version.ts';

/** How the parts stand at this moment, for metrics. */
export async function standingOf(parts: {
	readonly runtime: Runtime;
	readonly retrieval: Pick<Retrieval, 'retriever' | 'ingestions' | 'queryVectors'>;
	readonly records: RecordStore;
	readonly sharedState: SharedState;
	readonly idempotency: Idempotency;
	readonly alerts: OpenAlerts;
	readonly traces: Pick<TraceStore, 'droppedBy'>;
}): Promise<Standing> {
	const { runtime, retrieval, records, sharedState, idempotency, traces, alerts } = parts;
	const { breakers, retries } = runtime;
	const { retriever } = retrieval;
	const collections = retriever.status();
	return {
		version,
		draining: runtime.draining,
		upstreams: breakers
			.status()
			.map(({ upstream, state }) => ({ upstream, state, retriesLeft: retries.left(upstream) })),
		admission: runtime.admission,
		sharedState: sharedState.health(),
		idempotency: idempotency.health,
		tracesDropped: traces.droppedBy,
		alerts: { open: alerts.sink.counts, deliveries: alerts.deliveries },
		collections,
		// A disk that fails is told by others: a page without this line is more use than none.
		generations: await records.generations.counts().catch(() => []),
		ingestions: retrieval.ingestions(),
		queryVectors: retrieval.queryVectors(),
		partitions: new Map(collections.map(({ collection }) => [collection, retriever.partitions?.(collection) ?? []])),
	};
}
