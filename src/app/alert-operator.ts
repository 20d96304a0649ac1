import type { Clock } from '../base/clock.ts';
import type { Operator } from '../gateway/operator.ts';
import type { AlertRecord } from '../spec/alerts.ts';
import type { RecordStore } from '../spec/records.ts';
import type { AlertSink } from '../telemetry/alert-sink.ts';
import { actorOf } from './actor.ts';
import type { UserHash } from './user-hash.ts';

interface Parts {
	readonly sink: AlertSink;
	readonly records: RecordStore;
	readonly clock: Clock;
}

/** The operator's part about alerts: what is said by hand is told to the audit log. */
export function alertOperator(parts: Parts & { readonly users: UserHash }) {
	return {
		alerts: (ask) => parts.sink.list(ask),
		orderAlert: (id, what, by) => orderAlert(parts, { id, what, actor: actorOf(by, parts.users) }),
	} satisfies Partial<Operator>;
}

/** Acknowledges or ends an alert by hand, on disk when it resolves. Throws `alert_not_found`. */
export async function orderAlert(
	{ sink, records, clock }: Parts,
	{ id, what, actor }: { id: string; what: 'acknowledge' | 'close'; actor: string },
): Promise<AlertRecord> {
	const alert = what === 'acknowledge' ? sink.acknowledge(id, actor) : sink.close(id);
	await sink.flush();
	await records.putAudit({
		at: clock.now(),
		actor,
		action: what === 'acknowledge' ? 'alert_acknowledged' : 'alert_closed',
		subject: alert.key,
		tenantId: null,
		detail: { alert: id },
	});
	return alert;
}
