/** What an alert can be about. */
export type AlertSubject =
	| { readonly collection: string }
	| { readonly feature: string }
	| { readonly embedder: string };

/** From the mildest. */
export const ALERT_SEVERITIES = ['ticket', 'page'] as const;
export type AlertSeverity = (typeof ALERT_SEVERITIES)[number];

/** Something that a person should look at. */
export interface Alert {
	/** Names the rule and what it is about, e.g. `index_statistics:docs`. At most one alert of a key is open. */
	readonly key: string;
	/** `page`: users see it now, or will when nothing is done. `ticket`: it can wait for the morning. */
	readonly severity: AlertSeverity;
	readonly subject: AlertSubject;
	/** What happened, and what to do. Holds no text of a prompt, an answer or a document. */
	readonly message: string;
	readonly detail: Readonly<Record<string, string | number | boolean | null>>;
}

/** Where alerts go. Neither method fails or waits: an alert that cannot be passed on is counted and logged. */
export interface Alerts {
	/** Opens an alert, or counts it again when it is open. */
	raise(alert: Alert): void;
	/** Ends an alert; nothing happens when none is open under the key. */
	resolve(key: string): void;
}

/** An alert with what became of it. Times are milliseconds since the epoch. */
export interface AlertRecord extends Alert {
	readonly id: string;
	readonly openedAt: number;
	readonly raisedAt: number;
	/** How often it was raised while it was open. */
	readonly count: number;
	readonly acknowledgedAt: number | null;
	/** As the audit log names who asks. */
	readonly acknowledgedBy: string | null;
	/** Null while it is open. */
	readonly resolvedAt: number | null;
	/** By webhook, what it was told last: `open:page`, `open:ticket`, `resolved`, or `given_up` where it could not be told. */
	readonly told: Readonly<Record<string, string>>;
}

/** The rule that raises alerts of a key: what stands before its first colon. */
export function ruleOf({ key }: Pick<Alert, 'key'>): string {
	return key.split(':', 1)[0] ?? key;
}
