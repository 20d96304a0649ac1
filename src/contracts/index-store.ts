/** A folder of a bucket on S3-compatible storage. */
export interface ObjectStorage {
	/** Such as s3://bucket/folder. */
	readonly uri: string;
	readonly region: string;
	/** Null: AWS. */
	readonly endpoint: string | null;
	/** Null: as the machine enters. */
	readonly accessKeyId: string | null;
	/** Never printed; so is the next. */
	readonly secretAccessKey: string | null;
	readonly sessionToken: string | null;
	/** One request. */
	readonly timeoutMs: number;
}

export interface PostgresPlace {
	/** May hold a password: never printed. */
	readonly url: string;
	readonly schema: string;
	readonly connectionsMax: number;
	readonly connectTimeoutMs: number;
	/** One statement of an ingestion. */
	readonly buildTimeoutMs: number;
}

/** Where index generations live. */
export type IndexStoreConfig =
	| { readonly kind: 'lancedb' /** Null: in the data folder. */; readonly storage: ObjectStorage | null }
	| ({ readonly kind: 'postgres' } & PostgresPlace);
