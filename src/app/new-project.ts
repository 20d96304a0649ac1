import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join, resolve, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { accepted, fileProblem, readFailure, refused } from '../contracts/source-file.ts';
import type { Checked } from '../spec/problem.ts';

const TEMPLATE = fileURLToPath(new URL('../../templates/project/', import.meta.url));

/**
 * Writes a small complete project: plimsoll.yaml, a feature, two pages of documents. Existing files are never touched:
 * when one is in the way, each is named and nothing is written. Returns the files written, relative to `dir`.
 */
export async function createProject(dir: string): Promise<Checked<readonly string[]>> {
	const root = resolve(dir);
	const files = await templateFiles();
	try {
		const existing = new Set(await names(root));
		const inTheWay = files.filter(({ target }) => existing.has(target));
		if (inTheWay.length > 0) {
			const hint = 'choose an empty folder, or move the file away';
			return refused(...inTheWay.map(({ target }) => fileProblem(target, 'exists already', hint)));
		}
		for (const { source, target } of files) {
			await mkdir(dirname(join(root, target)), { recursive: true });
			// `wx` refuses a file that appeared since the look above.
			await writeFile(join(root, target), await readFile(source), { flag: 'wx' });
		}
	} catch (error) {
		return refused(fileProblem(dir, `cannot be written: ${readFailure(error)}`));
	}
	return accepted(files.map(({ target }) => target));
}

async function templateFiles(): Promise<{ source: string; target: string }[]> {
	const files = await names(TEMPLATE);
	// npm leaves .gitignore files out of packages, so the template's has no dot.
	return files
		.sort()
		.map((file) => ({ source: join(TEMPLATE, file), target: file === 'gitignore' ? '.gitignore' : file }));
}

/** Files below a folder, with forward slashes; none when there is no folder. */
async function names(dir: string): Promise<string[]> {
	try {
		const entries = await readdir(dir, { recursive: true, withFileTypes: true });
		const files = entries.filter((entry) => !entry.isDirectory());
		return files.map((entry) => join(entry.parentPath, entry.name).slice(join(dir, sep).length).split(sep).join('/'));
	} catch (error) {
		if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return [];
		throw error;
	}
}
