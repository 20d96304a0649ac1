import { hostname } from 'node:os';
import type { Logger } from 'pino';
import type { Clock } from '../base/clock.ts';
import { createHttpClient } from '../base/http.ts';
import { createIds } from '../base/ids.ts';
import type { Random } from '../base/random.ts';
import type { AlertRecord, AlertSubject } from '../spec/alerts.ts';
import type { HealthRecords } from '../spec/health-records.ts';
import { AlertSink } from '../telemetry/alert-sink.ts';
import { AlertWebhook, type DeliveryCounts } from '../telemetry/alert-webhook.ts';
import type { LoadedProject } from './load-project.ts';

const CONNECTIONS = { connectionsMax: 2, connectMs: 5_000 };

/** What alerts are about, and who is told. */
type AlertProject = Pick<LoadedProject, 'config' | 'releases'>;

/** Alerts with everyone who is told of them. */
export interface OpenAlerts {
	readonly sink: AlertSink;
	/** What became of deliveries since the start or the last change of the webhooks, by webhook. */
	readonly deliveries: ReadonlyMap<string, DeliveryCounts>;
	/** Puts other webhooks in force, and ends alerts about what the project has no more. */
	update(project: AlertProject): Promise<void>;
	close(): Promise<void>;
}

/** Opens the alerts that the records hold. Throws `storage_failed`. */
export async function openAlerts(
	project: AlertProject,
	parts: { records: HealthRecords; clock: Clock; random: Random; log: Logger },
): Promise<OpenAlerts> {
	const { records, clock, random, log } = parts;
	await using opened = new AsyncDisposableStack();
	const warn = (message: string) => log.warn(message);
	const newId = createIds(clock, random);
	const sink = new AlertSink({ records, clock, newId, log: (alert) => tellLog(log, alert), warn });
	await sink.load();
	opened.defer(() => sink.flush());
	const publicHttp = opened.adopt(createHttpClient({ ...CONNECTIONS, publicOnly: true }), (http) => http.close());
	const anyHttp = opened.adopt(createHttpClient(CONNECTIONS), (http) => http.close());
	let webhooks: readonly AlertWebhook[] = [];
	const closeWebhooks = async () => {
		await Promise.all(webhooks.map((webhook) => webhook.close()));
	};
	opened.defer(closeWebhooks);
	const update = async (next: AlertProject) => {
		const { alerts } = next.config;
		await closeWebhooks();
		webhooks = alerts.webhooks.map(
			(webhook) =>
				new AlertWebhook({
					config: webhook,
					http: webhook.privateAddresses === 'allow' ? anyHttp : publicHttp,
					clock,
					random,
					replica: hostname(),
					onTold: (alert, name, state) => sink.told(alert, name, state),
					warn,
				}),
		);
		// First, so that a webhook that is new hears of nothing that is gone.
		sink.resolveAbout((subject) => isGone(subject, next));
		sink.listen({
			changed(alert) {
				for (const webhook of webhooks) webhook.offer(alert);
			},
		});
	};
	await update(project);
	const all = opened.move();
	return {
		sink,
		get deliveries() {
			return new Map(webhooks.map((webhook) => [webhook.name, webhook.counts]));
		},
		update,
		close: () => all.disposeAsync(),
	};
}

function isGone(subject: AlertSubject, { config, releases }: AlertProject): boolean {
	if ('collection' in subject) return !config.collections.has(subject.collection);
	if ('embedder' in subject) return !config.embedders.has(subject.embedder);
	return !releases.has(subject.feature);
}

function tellLog(log: Logger, alert: AlertRecord): void {
	const { id, key, severity, subject, detail, count, resolvedAt } = alert;
	const told = { alert: { id, key, severity, subject, detail, count } };
	if (resolvedAt !== null) log.info(told, `the alert ${key} is over`);
	else if (severity === 'page') log.error(told, alert.message);
	else log.warn(told, alert.message);
}
