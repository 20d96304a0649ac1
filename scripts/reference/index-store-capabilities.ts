/** Where the engines behind IndexStore differ. The suite of tests and the manual read it; everything else is the same in all. */
export interface Capabilities {
	/** Whether `setAside` keeps what was damaged under another name. */
	readonly keepsSetAside: boolean;
	/** Relative error of a BM25 score against the formula, at most. */
	readonly lexicalError: number;
	/** Chunks from which a vector search looks at a part of them, unless it is asked to be exact. */
	readonly approximateFrom: number;
	readonly commit: string;
	readonly pinned: string;
	readonly vectorIndex: string;
	readonly textIndex: string;
	readonly needs: string;
}

const LANCE = {
	lexicalError: 0.0001,
	approximateFrom: 5_000,
	pinned: 'versions of the dataset',
	vectorIndex: 'IVF',
	textIndex: 'Lance, Snowball English',
} as const;

export const CAPABILITIES = {
	'LanceDB in the data folder': {
		...LANCE,
		keepsSetAside: true,
		commit: 'a file that must not be there yet',
		needs: 'nothing',
	},
	'LanceDB on S3': {
		...LANCE,
		keepsSetAside: false,
		commit: 'a conditional PUT',
		needs: 'S3-compatible storage with conditional PUT',
	},
	PostgreSQL: {
		keepsSetAside: true,
		lexicalError: 0.07,
		approximateFrom: 5_000,
		commit: 'a transaction',
		pinned: 'each row has the versions in which it came and went',
		vectorIndex: 'HNSW (pgvector)',
		textIndex: 'pg_textsearch, one index for each version, Snowball English',
		needs: 'PostgreSQL 17 or newer, pgvector, pg_textsearch',
	},
} as const satisfies Readonly<Record<string, Capabilities>>;
