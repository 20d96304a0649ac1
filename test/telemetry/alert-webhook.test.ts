import { createHmac } from 'node:crypto';
import { expect, it, onTestFinished } from 'vitest';
import { createHttpClient } from '../../src/base/http.ts';
import { createIds } from '../../src/base/ids.ts';
import { seededRandom } from '../../src/base/random.ts';
import { VirtualClock } from '../../src/base/virtual-clock.ts';
import type { WebhookConfig } from '../../src/contracts/alert-config.ts';
import type { Alert } from '../../src/spec/alerts.ts';
import { openSqliteHealth } from '../../src/stores/sqlite-health.ts';
import { AlertSink } from '../../src/telemetry/alert-sink.ts';
import { AlertWebhook } from '../../src/telemetry/alert-webhook.ts';
import { webhookReceiver } from '../support/webhook-receiver.ts';

const ALERT: Alert = {
	key: 'index_damaged:docs',
	severity: 'page',
	subject: { collection: 'docs' },
	message: 'The index of <docs> is damaged & cannot be read.',
	detail: { chunks: 7 },
};
const SECRET = 'a-secret-of-at-least-thirty-two-characters';

/** A sink with one webhook that posts to a real receiver; time is virtual. */
async function setUp(settings: Partial<WebhookConfig> = {}) {
	const receiver = await webhookReceiver();
	const clock = new VirtualClock();
	const records = openSqliteHealth(':memory:');
	const warnings: string[] = [];
	const warn = (message: string) => warnings.push(message);
	const random = seededRandom(7);
	const sink = new AlertSink({ records, clock, newId: createIds(clock, random), log: () => {}, warn });
	const config: WebhookConfig = {
		name: 'on-call',
		url: receiver.url,
		format: 'json',
		hmacSecret: SECRET,
		severityMin: 'ticket',
		privateAddresses: 'allow',
		timeoutMs: 5_000,
		attemptsMax: 5,
		...settings,
	};
	const http = createHttpClient({
		connectionsMax: 2,
		connectMs: 5_000,
		publicOnly: config.privateAddresses === 'refuse',
	});
	const webhook = new AlertWebhook({
		config,
		http,
		clock,
		random,
		replica: 'replica-1',
		onTold: (alert, name, state) => sink.told(alert, name, state),
		warn,
	});
	sink.listen({ changed: (alert) => webhook.offer(alert) });
	onTestFinished(async () => {
		await webhook.close();
		await http.close();
		await records.close();
	});
	/** Lets virtual time pass until the webhook has counted so many ends. */
	const ended = async (times: number) => {
		const all = () => webhook.counts.sent + webhook.counts.failed;
		for (let turns = 0; all() < times && turns < 20_000; turns++) await clock.advance(10);
		expect(all()).toBe(times);
	};
	const bodies = () => receiver.deliveries.map(({ body }) => JSON.parse(body));
	return { receiver, clock, records, sink, webhook, warnings, ended, bodies };
}

it('tells once that an alert opened and once that it is over, signed, with the same id in each attempt', async () => {
	const { receiver, sink, clock, ended, bodies } = await setUp();
	for (let n = 0; n < 5; n++) sink.raise(ALERT);
	await ended(1);
	sink.resolve(ALERT.key);
	await clock.advance(60_000);
	await ended(2);
	expect(bodies()).toMatchObject([
		{ type: 'alert.open', replica: 'replica-1', alert: { key: ALERT.key, rule: 'index_damaged', severity: 'page' } },
		{ type: 'alert.resolved', alert: { key: ALERT.key, count: 5 } },
	]);
	for (const { headers, body } of receiver.deliveries) {
		const [, seconds = '', mac] = /^t=(\d+),v1=([0-9a-f]{64})$/.exec(String(headers['x-plimsoll-signature'])) ?? [];
		expect(mac).toBe(createHmac('sha256', SECRET).update(`${seconds}.${body}`).digest('hex'));
		expect(Math.abs(Number(seconds) * 1_000 - clock.now())).toBeLessThan(120_000);
	}
});

it('repeats what a receiver could not take, with growing waits and one id, then goes on', async () => {
	const { receiver, sink, ended, webhook, clock } = await setUp();
	const at: number[] = [];
	receiver.answer = (response, nth) => {
		at.push(clock.monotonic());
		if (nth === 1) response.destroy();
		else response.writeHead([503, 429, 204][nth - 2] ?? 204).end();
	};
	sink.raise(ALERT);
	await ended(1);
	expect(webhook.counts).toEqual({ sent: 1, failed: 0, dropped: 0 });
	expect(new Set(receiver.deliveries.map(({ headers }) => headers['x-plimsoll-delivery'])).size).toBe(1);
	const waits = at.slice(1).map((one, nth) => one - (at[nth] ?? 0));
	expect(waits).toHaveLength(3);
	for (const [nth, wait] of waits.entries()) {
		expect(wait).toBeGreaterThanOrEqual(500 * 2 ** nth);
		expect(wait).toBeLessThanOrEqual(1_000 * 2 ** nth + 100);
	}
});

it('gives a receiver up that says nothing, after its attempts, and says so without its address', async () => {
	const { receiver, sink, ended, webhook, warnings } = await setUp({ attemptsMax: 3, timeoutMs: 200 });
	receiver.answer = () => {};
	sink.raise(ALERT);
	await ended(1);
	expect(receiver.deliveries).toHaveLength(3);
	expect(webhook.counts).toEqual({ sent: 0, failed: 1, dropped: 0 });
	expect(warnings).toEqual([expect.stringContaining('the webhook on-call could not be told of index_damaged:docs')]);
	expect(warnings[0]).not.toContain(receiver.url);
	// Nobody knows that it was open, so that nobody is told that it is over.
	sink.resolve(ALERT.key);
	await webhook.close();
	expect(receiver.deliveries).toHaveLength(3);
});

it.each([400, 404, 301])('does not repeat what a receiver refuses with %i, and follows no redirect', async (status) => {
	const { receiver, sink, ended, webhook } = await setUp();
	receiver.answer = (response) => response.writeHead(status, { location: 'http://169.254.169.254/' }).end();
	sink.raise(ALERT);
	await ended(1);
	expect(receiver.deliveries).toHaveLength(1);
	expect(webhook.counts.failed).toBe(1);
});

it('sends nothing to a private address unless that is allowed, and does not try again', async () => {
	const { receiver, sink, ended, webhook, warnings } = await setUp({ privateAddresses: 'refuse' });
	sink.raise(ALERT);
	await ended(1);
	expect(receiver.deliveries).toEqual([]);
	expect(webhook.counts.failed).toBe(1);
	expect(warnings[0]).toContain('private address');
});

it('an alert that comes and goes is told at most once a minute, and its last state is told', async () => {
	const { receiver, sink, clock, bodies } = await setUp({ timeoutMs: 60_000 });
	for (let n = 0; n < 300; n++) {
		sink.raise(ALERT);
		await clock.advance(500);
		sink.resolve(ALERT.key);
		await clock.advance(500);
	}
	sink.raise(ALERT);
	await clock.advance(120_000);
	await receiver.asked(2);
	expect(receiver.deliveries.length).toBeLessThanOrEqual(8);
	expect(bodies().at(-1)).toMatchObject({ type: 'alert.open' });
});

it('is told that it is over although that happened while it was being told that it opened', async () => {
	const { receiver, sink, clock, ended, bodies } = await setUp();
	receiver.answer = (response) => {
		sink.resolve(ALERT.key);
		response.writeHead(200).end('ok');
	};
	sink.raise(ALERT);
	await ended(1);
	await clock.advance(60_000);
	await ended(2);
	expect(bodies().map(({ type }) => type)).toEqual(['alert.open', 'alert.resolved']);
});

it('who wants pages only hears of a ticket when it becomes one', async () => {
	const { sink, ended, webhook, bodies } = await setUp({ severityMin: 'page' });
	sink.raise({ ...ALERT, severity: 'ticket' });
	sink.raise({ ...ALERT, key: 'other:docs', severity: 'ticket' });
	sink.resolve('other:docs');
	sink.raise(ALERT);
	await ended(1);
	expect(webhook.counts.sent).toBe(1);
	expect(bodies()).toMatchObject([{ alert: { key: ALERT.key, severity: 'page', count: 2 } }]);
});

it('a text for Slack marks nothing up that it does not mean', async () => {
	const { sink, ended, bodies } = await setUp({ format: 'slack', hmacSecret: null });
	sink.raise(ALERT);
	await ended(1);
	expect(bodies()).toEqual([
		{
			text: '*page* index_damaged:docs on replica-1\nThe index of &lt;docs&gt; is damaged &amp; cannot be read.',
		},
	]);
});

it('what waits is bounded; what does not fit is counted', async () => {
	const { receiver, sink, webhook } = await setUp();
	receiver.answer = () => {};
	sink.raise(ALERT);
	const [alert] = await sink.list({ open: true, limit: 1 });
	if (!alert) throw new Error('nothing is open');
	// One is under way and a thousand wait.
	for (let n = 0; n < 1_004; n++) webhook.offer({ ...alert, id: `alert_${n}`, key: `rule:${n}` });
	expect(webhook.counts.dropped).toBe(4);
});

it('what a process could not tell before its end is offered by the next one, and what it told is no news', async () => {
	const { receiver, records, sink, clock, webhook } = await setUp();
	receiver.answer = () => {};
	sink.raise(ALERT);
	await receiver.asked(1);
	await webhook.close();
	await sink.flush();
	const next = new AlertSink({ records, clock, newId: () => 'alert_2', log: () => {}, warn: () => {} });
	await next.load();
	const offered: string[] = [];
	next.listen({ changed: (alert) => offered.push(alert.key) });
	expect(offered).toEqual([ALERT.key]);

	const told = await setUp();
	told.sink.raise(ALERT);
	await told.ended(1);
	told.sink.listen({ changed: (alert) => told.webhook.offer(alert) });
	await told.clock.advance(120_000);
	expect(told.receiver.deliveries).toHaveLength(1);
});
