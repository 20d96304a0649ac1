import { constants, type Dirent } from 'node:fs';
import { type FileHandle, lstat, open, readdir, realpath } from 'node:fs/promises';
import path from 'node:path';
import type { SourceConfig } from '../../contracts/collection.ts';
import { PlimsollError } from '../../spec/errors.ts';
import { formatOf, whyNoFormat } from '../document-format.ts';
import { metaOf } from '../document-meta.ts';
import { CONTENT_TYPES, type OpenSource, type SourceItem } from '../source-item.ts';
import { excludes, includes } from './globs.ts';

type FolderConfig = Extract<SourceConfig, { kind: 'folder' }>;

/** A file that the globs chose: where it is, or why it cannot be read. */
interface Entry {
	readonly id: string;
	readonly reason: string | null;
}

const FILES_MAX = 1_000_000;
const DEPTH_MAX = 64;

/**
 * The files of a folder that `include` matches and `exclude` does not, sorted by path; a document's id is its path
 * relative to the folder, with `/`. Names that begin with a dot are left out unless a pattern names the dot. Symbolic links to
 * files inside the folder are read, all others are failures.
 */
export async function openFolder(config: FolderConfig, signal: AbortSignal): Promise<OpenSource> {
	const root = await realpath(config.path).catch((cause: unknown) => {
		throw unusable(config, describe(cause), cause);
	});
	if (!(await lstat(root)).isDirectory()) throw unusable(config, 'it is not a folder', null);
	const entries = await walk(config, root, signal);
	return {
		total: entries.length,
		async *items() {
			for (const entry of entries) yield await readEntry(config, root, entry);
		},
	};
}

async function walk(config: FolderConfig, root: string, signal: AbortSignal): Promise<Entry[]> {
	const entries: Entry[] = [];
	const showsDots = config.include.some((pattern) => /(^|[/{,])\./.test(pattern));
	const visit = async (folder: string, depth: number): Promise<void> => {
		signal.throwIfAborted();
		const children = await list(config, root, folder, entries);
		for (const child of children) {
			const id = folder ? `${folder}/${child.name}` : child.name;
			if ((child.name.startsWith('.') && !showsDots) || excludes(config, id)) continue;
			if (child.isDirectory() && depth < DEPTH_MAX) await visit(id, depth + 1);
			else if (child.isDirectory()) entries.push({ id: `${id}/`, reason: `deeper than ${DEPTH_MAX} folders` });
			else if (child.isSymbolicLink()) await addLink(config, root, id, entries);
			else if (includes(config, id)) entries.push({ id, reason: child.isFile() ? null : 'not a regular file' });
		}
		if (entries.length > FILES_MAX) throw unusable(config, `it holds more than ${FILES_MAX} files`, null);
	};
	await visit('', 0);
	return entries;
}

async function list(config: FolderConfig, root: string, folder: string, entries: Entry[]): Promise<Dirent[]> {
	try {
		const children = await readdir(path.join(root, folder), { withFileTypes: true });
		return children.sort((a, b) => (a.name < b.name ? -1 : 1));
	} catch (cause) {
		if (folder === '') throw unusable(config, describe(cause), cause);
		// The slash says that everything below it is unknown, not gone.
		entries.push({ id: `${folder}/`, reason: `the folder cannot be read: ${describe(cause)}` });
		return [];
	}
}

/** Links out of the folder would read what nobody meant to publish; links to folders could go in circles. */
async function addLink(config: FolderConfig, root: string, id: string, entries: Entry[]): Promise<void> {
	const target = await realpath(path.join(root, id)).catch((cause: unknown) => ({ reason: describe(cause) }));
	if (typeof target === 'object') {
		entries.push({ id, reason: `a symbolic link that leads nowhere: ${target.reason}` });
	} else if (target !== root && !target.startsWith(root + path.sep)) {
		entries.push({ id, reason: 'a symbolic link out of the folder is not followed' });
	} else if ((await lstat(target)).isDirectory()) {
		entries.push({ id, reason: 'a symbolic link to a folder is not followed' });
	} else if (includes(config, id)) {
		entries.push({ id, reason: null });
	}
}

async function readEntry(config: FolderConfig, root: string, { id, reason }: Entry): Promise<SourceItem> {
	const failed = (why: string): SourceItem => ({ failed: { document: id, reason: why } });
	if (reason && id.endsWith('/')) return { failed: { document: id, reason, isFolder: true } };
	if (reason) return failed(reason);
	const format = formatOf(id);
	if (!format) return failed(whyNoFormat(id));
	try {
		const target = await realpath(path.join(root, id));
		if (!target.startsWith(root + path.sep)) return failed('a symbolic link out of the folder is not followed');
		const file = await open(target, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
		try {
			const { mtimeMs } = await file.stat();
			const bytes = await readBounded(file, config.fileBytesMax);
			if (typeof bytes === 'string') return failed(bytes);
			const meta = metaOf({}, { contentType: CONTENT_TYPES[format], updatedAt: Math.floor(mtimeMs) });
			return { document: { id, format, bytes, title: path.posix.basename(id, path.posix.extname(id)), meta } };
		} finally {
			await file.close();
		}
	} catch (cause) {
		return failed(describe(cause));
	}
}

/** The file's bytes, or why not. Never reads past the cap, even when the file grows meanwhile. */
async function readBounded(file: FileHandle, bytesMax: number): Promise<Uint8Array | string> {
	const stat = await file.stat();
	if (!stat.isFile()) return 'not a regular file';
	const tooLarge = `larger than file_bytes_max (${bytesMax} bytes)`;
	if (stat.size > bytesMax) return `${stat.size} bytes, ${tooLarge}`;
	const bytes = Buffer.alloc(stat.size + 1);
	let length = 0;
	while (length < bytes.length) {
		const { bytesRead } = await file.read(bytes, length, bytes.length - length);
		if (bytesRead === 0) return bytes.subarray(0, length);
		length += bytesRead;
	}
	return 'the file grew while it was read';
}

function unusable(config: FolderConfig, reason: string, cause: unknown): PlimsollError {
	return new PlimsollError(
		'source_unusable',
		`Source ${config.name}: the folder ${config.path} cannot be used: ${reason}.`,
		{ cause },
	);
}

const REASONS: Readonly<Record<string, string>> = {
	ENOENT: 'it does not exist',
	EACCES: 'no permission to read it',
	EPERM: 'no permission to read it',
	ELOOP: 'a loop of symbolic links',
	ENOTDIR: 'it is not a folder',
};

/** A file system error in words. */
export function describe(cause: unknown): string {
	const code = cause instanceof Error && 'code' in cause ? String(cause.code) : '';
	return REASONS[code] ?? (cause instanceof Error ? cause.message : String(cause));
}
