import { rm } from 'node:fs/promises';
import { join } from 'node:path';

/** Removes what a LanceDB dataset holds, as a disk or a person could: all files with rows. */
export async function harmDataset(folder: string): Promise<void> {
	await rm(join(folder, 'data'), { recursive: true });
}
