import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';

/** Removes what a LanceDB dataset holds, as a disk or a person could: all files with rows. */
export async function harmDataset(folder: string): Promise<void> {
	const files = await readdir(join(folder, 'data'));
	for (const file of files) await rm(join(folder, 'data', file), { recursive: true });
}
