import { createHmac } from 'node:crypto';
import { type AlertRecord, ruleOf } from '../spec/alerts.ts';

/** An alert as clients and webhooks see it. */
export function alertRow(alert: AlertRecord) {
	return {
		id: alert.id,
		key: alert.key,
		rule: ruleOf(alert),
		severity: alert.severity,
		subject: alert.subject,
		message: alert.message,
		detail: alert.detail,
		count: alert.count,
		opened_at: iso(alert.openedAt),
		raised_at: iso(alert.raisedAt),
		acknowledged_at: alert.acknowledgedAt === null ? null : iso(alert.acknowledgedAt),
		acknowledged_by: alert.acknowledgedBy,
		resolved_at: alert.resolvedAt === null ? null : iso(alert.resolvedAt),
	};
}

/** The body of a delivery. `slack`: what an incoming webhook of Slack takes, and of whoever copies it. */
export function alertBody(alert: AlertRecord, format: 'json' | 'slack', replica: string): string {
	if (format === 'slack') return JSON.stringify({ text: slackText(alert, replica) });
	const type = alert.resolvedAt === null ? 'alert.open' : 'alert.resolved';
	return JSON.stringify({ type, replica, alert: alertRow(alert) });
}

/** `t=<seconds>,v1=<hex>`: HMAC-SHA-256 over `<seconds>.<body>`, so that an old delivery cannot be sent again as a new one. */
export function signature(secret: string, body: string, nowMs: number): string {
	const seconds = Math.floor(nowMs / 1_000);
	return `t=${seconds},v1=${createHmac('sha256', secret).update(`${seconds}.${body}`).digest('hex')}`;
}

function slackText(alert: AlertRecord, replica: string): string {
	const state = alert.resolvedAt === null ? alert.severity : 'resolved';
	return `*${state}* ${escaped(alert.key)} on ${escaped(replica)}\n${escaped(alert.message)}`;
}

/** Slack reads these three as mark-up. */
function escaped(text: string): string {
	return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}

function iso(ms: number): string {
	return new Date(ms).toISOString();
}
