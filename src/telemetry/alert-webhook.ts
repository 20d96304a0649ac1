import { type Clock, sleep } from '../base/clock.ts';
import { Deadline } from '../base/deadline.ts';
import type { HttpClient } from '../base/http.ts';
import { PrivateAddressError } from '../base/private-address.ts';
import type { Random } from '../base/random.ts';
import type { WebhookConfig } from '../contracts/alert-config.ts';
import { ALERT_SEVERITIES, type AlertRecord } from '../spec/alerts.ts';
import { alertBody, signature } from './alert-message.ts';

/** Alerts that may wait, one of each key. */
const WAITING_MAX = 1_000;
/** A key is told about at most once in this time, so that one that comes and goes is no storm. */
const REST_MS = 60_000;
/** Before the second attempt; doubles with each further one, and half of it is random. */
const BACK_OFF_MS = 1_000;

export interface WebhookParts {
	readonly config: WebhookConfig;
	/** Refuses private addresses unless the configuration allows them. */
	readonly http: HttpClient;
	readonly clock: Clock;
	readonly random: Random;
	/** Names this process among replicas. */
	readonly replica: string;
	/** What the receiver knows from now on; `given_up` when it could not be told. */
	readonly onTold: (alert: AlertRecord, webhook: string, state: string) => void;
	readonly warn: (message: string) => void;
}

/** What became of deliveries since the start. */
export interface DeliveryCounts {
	readonly sent: number;
	/** Given up after the last attempt. */
	readonly failed: number;
	/** Not even tried, because too many waited. */
	readonly dropped: number;
}

/**
 * Tells one receiver how alerts stand, one delivery at a time. Only the newest state of a key waits: what was opened and
 * is over before its turn is never told.
 */
export class AlertWebhook {
	readonly #parts: WebhookParts;
	readonly #waiting = new Map<string, AlertRecord>();
	/** By key, when it may be told about again; monotonic milliseconds. */
	readonly #restingUntil = new Map<string, number>();
	readonly #closing = new AbortController();
	readonly #counts = { sent: 0, failed: 0, dropped: 0 };
	/** The key that is being told about. */
	#telling: string | null = null;
	#cancelTimer: (() => void) | null = null;
	#running: Promise<void> | null = null;

	constructor(parts: WebhookParts) {
		this.#parts = parts;
	}

	get name(): string {
		return this.#parts.config.name;
	}

	get counts(): DeliveryCounts {
		return { ...this.#counts };
	}

	/** Takes the newest state of an alert; returns at once. */
	offer(alert: AlertRecord): void {
		if (this.#closing.signal.aborted) return;
		// What its receiver knows is not certain before the delivery under way has ended.
		if (alert.key !== this.#telling && !this.#isNews(alert)) {
			this.#waiting.delete(alert.key);
			return;
		}
		if (!this.#waiting.has(alert.key) && this.#waiting.size >= WAITING_MAX) {
			this.#counts.dropped++;
			this.#parts.warn(`the webhook ${this.name} is behind: it is not told of ${alert.key}`);
			return;
		}
		this.#waiting.set(alert.key, alert);
		this.#wake();
	}

	/** Gives up what waits and what is under way: whoever opens the records again is told then. */
	async close(): Promise<void> {
		this.#closing.abort(new Error('the server stops'));
		this.#cancelTimer?.();
		this.#waiting.clear();
		await this.#running;
	}

	#isNews(alert: AlertRecord): boolean {
		const { name, severityMin } = this.#parts.config;
		const told = alert.told[name];
		if (alert.resolvedAt !== null) return told?.startsWith('open') === true;
		const isWanted = ALERT_SEVERITIES.indexOf(alert.severity) >= ALERT_SEVERITIES.indexOf(severityMin);
		return isWanted && told !== stateOf(alert);
	}

	#wake(): void {
		this.#running ??= this.#run().finally(() => {
			this.#running = null;
			this.#await();
		});
	}

	/** Wakes again when the first of those that rest may be told about. */
	#await(): void {
		this.#cancelTimer?.();
		this.#cancelTimer = null;
		if (this.#waiting.size === 0 || this.#closing.signal.aborted) return;
		const now = this.#parts.clock.monotonic();
		const until = [...this.#waiting.keys()].map((key) => this.#restingUntil.get(key) ?? now);
		this.#cancelTimer = this.#parts.clock.after(Math.max(0, Math.min(...until) - now), () => this.#wake());
	}

	async #run(): Promise<void> {
		while (!this.#closing.signal.aborted) {
			const now = this.#parts.clock.monotonic();
			for (const [key, until] of this.#restingUntil) if (until <= now) this.#restingUntil.delete(key);
			const next = [...this.#waiting.values()].find(({ key }) => !this.#restingUntil.has(key));
			if (next === undefined) return;
			this.#waiting.delete(next.key);
			this.#telling = next.key;
			await this.#deliver(next);
			this.#telling = null;
			this.#restingUntil.set(next.key, this.#parts.clock.monotonic() + REST_MS);
		}
	}

	async #deliver(first: AlertRecord): Promise<void> {
		const { config, clock, random, warn } = this.#parts;
		let alert = first;
		for (let attempt = 1; ; attempt++) {
			const failure = await this.#post(alert);
			if (failure === null) {
				this.#counts.sent++;
				return this.#settle(alert, stateOf(alert));
			}
			if (this.#closing.signal.aborted) return;
			if (attempt >= config.attemptsMax || failure.isFinal) {
				this.#counts.failed++;
				warn(`the webhook ${config.name} could not be told of ${alert.key}: ${failure.reason}`);
				return this.#settle(alert, 'given_up');
			}
			const waitMs = BACK_OFF_MS * 2 ** (attempt - 1) * (0.5 + random.next() / 2);
			await sleep(clock, waitMs, this.#closing.signal).catch(() => null);
			// What has become of it meanwhile goes in its place; when there is nothing left to tell, nothing is told.
			const newer = this.#waiting.get(alert.key);
			if (newer?.id === alert.id) {
				this.#waiting.delete(alert.key);
				alert = newer;
			}
		}
	}

	/** Notes what the receiver knows now; what came meanwhile may then be no news any more. */
	#settle(alert: AlertRecord, state: string): void {
		const { config, onTold } = this.#parts;
		onTold(alert, config.name, state);
		const newer = this.#waiting.get(alert.key);
		if (newer?.id !== alert.id) return;
		const known = { ...newer, told: { ...newer.told, [config.name]: state } };
		if (this.#isNews(known)) this.#waiting.set(alert.key, known);
		else this.#waiting.delete(alert.key);
	}

	/** Null when the receiver has taken it. */
	async #post(alert: AlertRecord): Promise<{ readonly reason: string; readonly isFinal: boolean } | null> {
		const { config, http, clock, replica } = this.#parts;
		const body = alertBody(alert, config.format, replica);
		const late = () => new Error(`no answer within ${config.timeoutMs} ms`);
		const deadline = new Deadline(clock, late);
		deadline.set(config.timeoutMs);
		const stop = () => deadline.cancel(this.#closing.signal.reason);
		this.#closing.signal.addEventListener('abort', stop, { once: true });
		try {
			const reply = await http.request({
				url: config.url,
				method: 'POST',
				headers: {
					'content-type': 'application/json',
					'user-agent': 'plimsoll',
					'x-plimsoll-delivery': `${alert.id}:${stateOf(alert)}`,
					...(config.hmacSecret === null
						? {}
						: { 'x-plimsoll-signature': signature(config.hmacSecret, body, clock.now()) }),
				},
				body,
				signal: deadline.signal,
			});
			reply.body.on('error', () => {}).destroy();
			const { statusCode: status } = reply;
			if (status >= 200 && status < 300) return null;
			// What a receiver refuses it refuses again; a redirect is not followed, since it could lead anywhere.
			const isFinal = status < 500 && !TRY_AGAIN.has(status);
			return { reason: `it answered with ${status}`, isFinal };
		} catch (thrown) {
			const reason = thrown instanceof Error ? thrown.message || thrown.name : String(thrown);
			return { reason, isFinal: thrown instanceof PrivateAddressError };
		} finally {
			deadline.dispose();
			this.#closing.signal.removeEventListener('abort', stop);
		}
	}
}

/** Request time-out, too early, too many requests. */
const TRY_AGAIN: ReadonlySet<number> = new Set([408, 425, 429]);

function stateOf(alert: AlertRecord): string {
	return alert.resolvedAt === null ? `open:${alert.severity}` : 'resolved';
}
