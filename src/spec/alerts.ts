/** What an alert can be about. */
export type AlertSubject =
	| { readonly collection: string }
	| { readonly feature: string }
	| { readonly embedder: string };

/** Something that a person should look at. */
export interface Alert {
	/** Names the rule and what it is about, e.g. `index_statistics:docs`. At most one alert of a key is open. */
	readonly key: string;
	/** `page`: users see it now, or will when nothing is done. `ticket`: it can wait for the morning. */
	readonly severity: 'page' | 'ticket';
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
