import type { Idempotency } from '../runtime/idempotency.ts';
import type { Runtime } from '../runtime/runtime.ts';
import type { Retriever } from '../spec/retrieval.ts';
import type { SharedState } from '../spec/shared-state.ts';
import type { Standing } from '../telemetry/standing.ts';
import type { TraceStore } from '../telemetry/trace-store.ts';
import type { OpenAlerts } from './alerts.ts';
import { version } from './version.ts';

/** How the parts stand at this moment, for metrics. */
export function standingOf(parts: {
	readonly runtime: Runtime;
	readonly retrieval: { readonly retriever: Retriever };
	readonly sharedState: SharedState;
	readonly idempotency: Idempotency;
	readonly alerts: OpenAlerts;
	readonly traces: Pick<TraceStore, 'droppedBy'>;
}): Standing {
	const { runtime, retrieval, sharedState, idempotency, traces, alerts } = parts;
	const { breakers, retries } = runtime;
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
		collections: retrieval.retriever.status(),
	};
}
