import type { Logger } from 'pino';
import type { Alerts } from '../spec/alerts.ts';

/** Alerts as lines of the log. */
export function logAlerts(log: Logger): Alerts {
	return {
		raise: (alert) => log.error({ alert }, alert.message),
		resolve: (key) => log.info({ alert: { key } }, `the alert ${key} is over, if it was open`),
	};
}
