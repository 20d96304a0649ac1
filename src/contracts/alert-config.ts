import type { AlertSeverity } from '../spec/alerts.ts';
import type { RawAlerts } from './alerts-schema.ts';

/** Where alerts are sent. */
export interface WebhookConfig {
	readonly name: string;
	/** May hold a secret in its path: never printed. */
	readonly url: string;
	readonly format: 'json' | 'slack';
	/** Signs deliveries; null: they are not signed. Never printed. */
	readonly hmacSecret: string | null;
	readonly severityMin: AlertSeverity;
	readonly privateAddresses: 'refuse' | 'allow';
	/** One attempt. */
	readonly timeoutMs: number;
	readonly attemptsMax: number;
}

/** `alerts` of plimsoll.yaml. */
export interface AlertConfig {
	readonly webhooks: readonly WebhookConfig[];
}

export function alertsOf(raw: RawAlerts): AlertConfig {
	return {
		webhooks: Object.entries(raw.webhooks).map(([name, webhook]) => ({
			name,
			url: webhook.url,
			format: webhook.format,
			hmacSecret: webhook.hmac_secret,
			severityMin: webhook.severity_min,
			privateAddresses: webhook.private_addresses,
			timeoutMs: webhook.timeout_ms,
			attemptsMax: webhook.attempts_max,
		})),
	};
}
