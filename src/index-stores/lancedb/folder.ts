import { mkdir, readdir, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import type { Connection } from '@lancedb/lancedb';
import type { Datasets } from './datasets.ts';

/** Datasets as folders of one folder of this machine. */
export class FolderDatasets implements Datasets {
	readonly uri: string;
	readonly options = {};

	/** @param folder absolute. */
	constructor(folder: string) {
		this.uri = folder;
	}

	async prepare(): Promise<void> {
		await mkdir(this.uri, { recursive: true });
	}

	async drop(connection: Connection, table: string): Promise<void> {
		await connection
			.dropTable(table)
			.catch(() => rm(path.join(this.uri, `${table}.lance`), { recursive: true, force: true }));
	}

	async setAside(_: Connection, table: string, at: number): Promise<string | null> {
		const stamp = new Date(at).toISOString().replaceAll(/[-:]|\.\d+/g, '');
		const taken = new Set(await readdir(this.uri));
		if (!taken.has(`${table}.lance`)) return null;
		// The database lists what ends in .lance, so that this name is no table to it.
		const aside = `${table}.lance.unusable-${stamp}`;
		let free = aside;
		for (let n = 2; taken.has(free); n++) free = `${aside}-${n}`;
		await rename(path.join(this.uri, `${table}.lance`), path.join(this.uri, free));
		return free;
	}
}
