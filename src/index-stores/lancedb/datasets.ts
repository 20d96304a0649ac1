import type { Connection } from '@lancedb/lancedb';

/** The place where the datasets of a LanceDB database lie. */
export interface Datasets {
	/** As LanceDB takes it. */
	readonly uri: string;
	/** How LanceDB reaches it. May hold secrets. */
	readonly options: Readonly<Record<string, string>>;
	/** Makes it where it can be made. */
	prepare(): Promise<void>;
	/** Removes a dataset, also one that cannot be opened. */
	drop(connection: Connection, table: string): Promise<void>;
	/** Moves a dataset out of the way. Returns its new name; null when nothing of it is left. */
	setAside(connection: Connection, table: string, at: number): Promise<string | null>;
}
