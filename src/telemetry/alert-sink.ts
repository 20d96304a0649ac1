import type { Clock } from '../base/clock.ts';
import {
	type Alert,
	type AlertRecord,
	type AlertSeverity,
	type AlertSubject,
	type Alerts,
	ruleOf,
} from '../spec/alerts.ts';
import { PlimsollError } from '../spec/errors.ts';
import type { HealthRecords } from '../spec/health-records.ts';

/** More open alerts at once than anybody can look at. */
const OPEN_MAX = 1_000;
/** What has changed for a reader is written soon, a mere count later. */
const WRITE_MS = 100;
const COUNT_MS = 10_000;
const COMPLAIN_MS = 60_000;
const KEY_CHARS_MAX = 200;
const TEXT_CHARS_MAX = 2_000;
const DETAILS_MAX = 32;

/** Hears of every change of an alert. */
export interface AlertListener {
	/** An alert was opened, became worse, or is over. */
	changed(alert: AlertRecord): void;
}

export interface AlertSinkParts {
	readonly records: Pick<HealthRecords, 'putAlerts' | 'listAlerts'>;
	readonly clock: Clock;
	readonly newId: (prefix: string) => string;
	/** An alert was opened, became worse, or is over. */
	readonly log: (alert: AlertRecord) => void;
	/** Told, at most once a minute, of what could not be kept. */
	readonly warn: (message: string) => void;
}

/**
 * Keeps at most one open alert of each key, in memory and in the records. Nothing that raises an alert waits for a disk:
 * changes are written within 100 ms, and a kill -9 before that loses them.
 */
export class AlertSink implements Alerts {
	readonly #parts: AlertSinkParts;
	readonly #open = new Map<string, AlertRecord>();
	/** The latest that are over, by id: a webhook may still have to be told. */
	readonly #over = new Map<string, AlertRecord>();
	readonly #dirty = new Map<string, AlertRecord>();
	#listener: AlertListener = { changed() {} };
	#refused = 0;
	#timer: { readonly at: number; readonly cancel: () => void } | null = null;
	#writing: Promise<void> = Promise.resolve();
	#complainedAt = Number.NEGATIVE_INFINITY;

	constructor(parts: AlertSinkParts) {
		this.#parts = parts;
	}

	/** Takes up what was open when the process before this one ended. */
	async load(): Promise<void> {
		const { records } = this.#parts;
		for (const alert of await records.listAlerts({ open: true, limit: OPEN_MAX })) this.#open.set(alert.key, alert);
		for (const alert of await records.listAlerts({ open: false, limit: OPEN_MAX })) {
			if (alert.resolvedAt !== null && isTold(alert)) this.#over.set(alert.id, alert);
		}
	}

	/** Puts a listener in the place of the one before, and offers it all that it may not know. */
	listen(listener: AlertListener): void {
		this.#listener = listener;
		for (const alert of [...this.#over.values(), ...this.#open.values()]) listener.changed(alert);
	}

	raise(alert: Alert): void {
		const known = this.#open.get(alert.key);
		if (known === undefined && this.#open.size >= OPEN_MAX) {
			this.#refused++;
			this.#complain(`${OPEN_MAX} alerts are open; ${this.#refused} more were not kept, the last one ${alert.key}`);
			return;
		}
		const now = this.#parts.clock.now();
		const fresh = {
			id: this.#parts.newId('alert'),
			openedAt: now,
			count: 0,
			acknowledgedAt: null,
			acknowledgedBy: null,
			resolvedAt: null,
			told: {},
		};
		const { severity, ...last } = known ?? { severity: alert.severity, ...fresh };
		const record: AlertRecord = {
			...last,
			...bounded(alert),
			// It does not become milder while it is open.
			severity: severity === 'page' ? 'page' : alert.severity,
			raisedAt: now,
			count: last.count + 1,
		};
		this.#open.set(alert.key, record);
		if (record.severity === known?.severity) this.#keep(record, COUNT_MS);
		else this.#changed(record);
	}

	resolve(key: string): void {
		const alert = this.#open.get(key);
		if (alert === undefined) return;
		this.#open.delete(key);
		const over = { ...alert, resolvedAt: this.#parts.clock.now() };
		this.#over.set(over.id, over);
		const [oldest] = this.#over.keys();
		if (this.#over.size > OPEN_MAX && oldest !== undefined) this.#over.delete(oldest);
		this.#changed(over);
	}

	/** Ends those about what is gone, which nothing would ever end. */
	resolveAbout(isGone: (subject: AlertSubject) => boolean): void {
		const gone = [...this.#open.values()].filter(({ subject }) => isGone(subject));
		for (const { key } of gone) this.resolve(key);
	}

	/** Says who has seen it. Throws `alert_not_found` for one that is not open. */
	acknowledge(id: string, by: string): AlertRecord {
		const alert = this.#find(id);
		const seen = { ...alert, acknowledgedAt: this.#parts.clock.now(), acknowledgedBy: by };
		this.#open.set(alert.key, seen);
		this.#keep(seen, WRITE_MS);
		return seen;
	}

	/** Ends an alert by hand; it opens again when it is raised again. Throws `alert_not_found` for one that is not open. */
	close(id: string): AlertRecord {
		const alert = this.#find(id);
		this.resolve(alert.key);
		return { ...alert, resolvedAt: this.#parts.clock.now() };
	}

	/** Newest first; those that are over come from the records. */
	async list({ open, limit }: { readonly open: boolean; readonly limit: number }): Promise<readonly AlertRecord[]> {
		const alive = [...this.#open.values()].sort((a, b) => b.openedAt - a.openedAt || (a.id < b.id ? 1 : -1));
		if (open) return alive.slice(0, limit);
		await this.flush();
		return this.#parts.records.listAlerts({ open, limit });
	}

	/** How many are open, by rule and severity. */
	get counts(): readonly { readonly rule: string; readonly severity: AlertSeverity; readonly open: number }[] {
		const groups = Map.groupBy(this.#open.values(), (alert) => `${ruleOf(alert)} ${alert.severity}`);
		return [...groups.values()].flatMap((alerts) => {
			const [first] = alerts;
			return first ? [{ rule: ruleOf(first), severity: first.severity, open: alerts.length }] : [];
		});
	}

	/** Notes what a webhook knows, so that it is not told again. */
	told({ id, key }: AlertRecord, webhook: string, state: string): void {
		const open = this.#open.get(key);
		const alert = open?.id === id ? open : this.#over.get(id);
		if (alert === undefined) return;
		const told = { ...alert, told: { ...alert.told, [webhook]: state } };
		if (told.resolvedAt === null) this.#open.set(key, told);
		else if (isTold(told)) this.#over.set(id, told);
		else this.#over.delete(id);
		this.#keep(told, WRITE_MS);
	}

	/** Resolves when what is known has been written, or could not be. */
	flush(): Promise<void> {
		this.#timer?.cancel();
		this.#timer = null;
		this.#writing = this.#writing.then(() => this.#write());
		return this.#writing;
	}

	#find(id: string): AlertRecord {
		const alert = [...this.#open.values()].find((one) => one.id === id);
		if (alert) return alert;
		throw new PlimsollError('alert_not_found', `No open alert has the id "${id.slice(0, 100)}".`, { param: 'alert' });
	}

	#changed(alert: AlertRecord): void {
		this.#keep(alert, WRITE_MS);
		this.#parts.log(alert);
		this.#listener.changed(alert);
	}

	#keep(alert: AlertRecord, ms: number): void {
		this.#dirty.set(alert.id, alert);
		this.#schedule(ms);
	}

	#schedule(ms: number): void {
		const { clock } = this.#parts;
		const at = clock.monotonic() + ms;
		if (this.#timer !== null && this.#timer.at <= at) return;
		this.#timer?.cancel();
		this.#timer = { at, cancel: clock.after(ms, () => void this.flush()) };
	}

	async #write(): Promise<void> {
		const batch = [...this.#dirty.values()];
		this.#dirty.clear();
		try {
			await this.#parts.records.putAlerts(batch);
		} catch (thrown) {
			for (const alert of batch) if (!this.#dirty.has(alert.id)) this.#dirty.set(alert.id, alert);
			this.#complain(`alerts could not be written: ${thrown instanceof Error ? thrown.message : String(thrown)}`);
			this.#schedule(COUNT_MS);
		}
	}

	#complain(message: string): void {
		const now = this.#parts.clock.monotonic();
		if (now - this.#complainedAt < COMPLAIN_MS) return;
		this.#complainedAt = now;
		this.#parts.warn(message);
	}
}

/** Whether some webhook still believes that it is open. */
function isTold({ told }: AlertRecord): boolean {
	return Object.values(told).some((state) => state.startsWith('open'));
}

/** Whoever raises it is ours, but what it quotes may be long. */
function bounded({ key, severity, subject, message, detail }: Alert): Alert {
	const entries = Object.entries(detail).slice(0, DETAILS_MAX);
	return {
		key: key.slice(0, KEY_CHARS_MAX),
		severity,
		subject,
		message: message.slice(0, TEXT_CHARS_MAX),
		detail: Object.fromEntries(
			entries.map(([name, value]) => [name, typeof value === 'string' ? value.slice(0, TEXT_CHARS_MAX) : value]),
		),
	};
}
