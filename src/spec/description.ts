/** What a deployment is, in members that mean the same in every deployment. JSON, by name; holds no secret, no path and no text of a document. */
export interface Description {
	/** Of Plimsoll. */
	readonly version: string;
	readonly features: Readonly<Record<string, FeatureDescription>>;
	readonly upstreams: Readonly<Record<string, UpstreamDescription>>;
	readonly embedders: Readonly<Record<string, EmbedderDescription>>;
	readonly collections: Readonly<Record<string, CollectionDescription>>;
}

export interface FeatureDescription {
	/** The release's whole hash. */
	readonly release: string;
	/** Null: it has no prompt of its own. */
	readonly prompt_version: string | null;
	readonly route: readonly string[];
	readonly collection: string | null;
}

export interface UpstreamDescription {
	readonly family: string;
	readonly model: string | null;
	/** Whether the environment has what it needs. */
	readonly available: boolean;
}

export interface EmbedderDescription {
	readonly family: string;
	/** Null: the built-in one. */
	readonly model: string | null;
	readonly dimensions: number;
}

export interface CollectionDescription {
	/** Which embedder, fusion and limits searches are configured with. */
	readonly settings: unknown;
	/** The live generation; null: there is none. */
	readonly live: {
		/** Its name counts a deployment's own builds. */
		readonly generation: string;
		/** Of everything that went in; the same in two deployments means the same index. */
		readonly hash: string | null;
		/** Embedding identity, vector space, chunker, fields, engine, lexical formula, fusion and counts of sources. */
		readonly built: unknown;
		readonly documents: number;
		readonly chunks: number;
		readonly statistics: unknown;
		/** Names of the checks that it failed; null: it was never verified. */
		readonly checks_failed: readonly string[] | null;
	} | null;
}
