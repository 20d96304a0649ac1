import type { Clock } from '../base/clock.ts';
import type { Operator, UpstreamView } from '../gateway/operator.ts';
import type { Runtime } from '../runtime/runtime.ts';
import { PlimsollError } from '../spec/errors.ts';
import type { RecordStore } from '../spec/records.ts';
import { actorOf } from './actor.ts';
import type { UserHash } from './user-hash.ts';

interface Parts {
	readonly runtime: Runtime;
	readonly users: UserHash;
	readonly records: RecordStore;
	readonly clock: Clock;
}

/** The operator's part about upstreams: what is said by hand holds at once, and is told to the audit log. */
export function upstreamOperator({ runtime, users, records, clock }: Parts) {
	const { breakers, retries } = runtime;
	const views = (): readonly UpstreamView[] =>
		breakers.status().map((status) => ({ ...status, retriesLeft: retries.left(status.upstream) }));
	return {
		upstreams: views,
		async orderBreaker(upstream, order, by) {
			if (!breakers.has(upstream)) {
				throw new PlimsollError('model_not_found', `No upstream is named "${upstream.slice(0, 100)}".`, {
					param: 'upstream',
				});
			}
			const isOpen = order.state === 'open';
			if (isOpen) breakers.open(upstream, 'hand', order.forMs);
			else breakers.close(upstream);
			await records.putAudit({
				at: clock.now(),
				actor: actorOf(by, users),
				action: isOpen ? 'breaker_opened' : 'breaker_closed',
				subject: upstream,
				tenantId: null,
				detail: isOpen ? { until: new Date(clock.now() + order.forMs).toISOString() } : {},
			});
			return views().find((view) => view.upstream === upstream) as UpstreamView;
		},
	} satisfies Partial<Operator>;
}
