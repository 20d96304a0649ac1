/** How the vectors of one live index stand to those that its embedder makes now. */
export interface EmbedderIndexView {
	readonly collection: string;
	readonly generation: string;
	/** `unknown`: nothing could be compared yet. `alias`: the same vectors under another name. */
	readonly space: 'same' | 'alias' | 'other' | 'unknown';
	/** In what they differ; null: in nothing. */
	readonly difference: string | null;
	readonly message: string | null;
	/** The lowest cosine of any probe; null where none was compared. */
	readonly cosineMin: number | null;
	/** What becomes of searches while the space is another one. */
	readonly onIdentityChange: 'lexical' | 'refuse';
	/** What a new generation would take. */
	readonly rebuild: {
		readonly chunks: number;
		readonly tokens: number;
		readonly costMicros: number;
		readonly seconds: number | null;
	};
}

/** An embedder as its operators see it. */
export interface EmbedderView {
	readonly embedder: string;
	readonly family: string;
	readonly model: string;
	readonly dimensions: number;
	/** Of its breaker; `in_process` for what has none. */
	readonly state: 'closed' | 'open' | 'probing' | 'off' | 'in_process';
	readonly waitMs: number | null;
	/** The latest failure of a call; null: there was none. */
	readonly lastError: { readonly at: number; readonly kind: string; readonly message: string } | null;
	/** When its fingerprint was measured, milliseconds since the epoch; null: not in this process. */
	readonly measuredAt: number | null;
	/** Why the latest measurement failed. */
	readonly problem: string | null;
	/** Until the next one; null: when somebody asks. */
	readonly nextMs: number | null;
	/** The shortest and longest vector as the model made them; null before a measurement. */
	readonly lengths: readonly [number, number] | null;
	readonly indexes: readonly EmbedderIndexView[];
}

/** What operators ask of embedders. */
export interface EmbedderDesk {
	list(): Promise<readonly EmbedderView[]>;
	/** Measures the fingerprint now and compares. Throws PlimsollError `model_not_found` for an unknown name. */
	check(embedder: string): Promise<EmbedderView>;
}
