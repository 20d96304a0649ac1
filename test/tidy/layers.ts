import type { SourceFile } from './source-file.ts';

/** A folder imports only from folders on lower lines; folders on one line are strangers to each other. */
const LINES: readonly (readonly string[])[] = [
	['base'],
	['spec'],
	['contracts'],
	['policy'],
	[
		'prompts',
		'retrieval',
		'index-stores',
		'guards',
		'models',
		'telemetry',
		'stores',
		'identity',
		'flags',
		'mock-upstream',
	],
	['runtime'],
	['gateway'],
	['app'],
	['cli'],
];

const LINE_OF = new Map(LINES.flatMap((folders, line) => folders.map((folder) => [folder, line] as const)));

/** The layer table of ARCHITECTURE.md. */
export function brokenLayers(files: readonly SourceFile[]): string[] {
	return files
		.filter((file) => file.path.startsWith('src/'))
		.flatMap((file) => [...foreignFolder(file), ...upward(file)]);
}

function upward(file: SourceFile): string[] {
	const from = folderOf(file.path);
	return file.imports.flatMap(({ target, line }) => {
		if (target === null || from === null) return [];
		const to = target.startsWith('src/') ? folderOf(target) : null;
		if (to === from) return [];
		const where = `${file.path}:${line}`;
		if (to === null)
			return [`${where} imports ${target}, which is not in a layer of src/. Pass its content in instead.`];
		const [fromLine, toLine] = [LINE_OF.get(from) ?? 0, LINE_OF.get(to) ?? 0];
		if (toLine < fromLine) return [];
		const why =
			toLine === fromLine
				? `${from}/ and ${to}/ are strangers. Let runtime/ or app/ inject one into the other through a port of spec/, or move what both need down`
				: `${to}/ is above ${from}/. Move what is needed down, or let it be passed in through a port of spec/`;
		return [`${where} imports ${target}: ${why}.`];
	});
}

function foreignFolder(file: SourceFile): string[] {
	const folder = folderOf(file.path);
	if (folder === null || LINE_OF.has(folder)) return [];
	return [`${file.path}: src/${folder}/ is not in the layer table. Add it to test/tidy/layers.ts and ARCHITECTURE.md.`];
}

/** The layer of a path below src/; null for src/index.ts itself, which may import from all of them. */
function folderOf(path: string): string | null {
	const parts = path.split('/');
	return parts.length > 2 ? (parts[1] ?? null) : null;
}

/** Import cycles between files, types included: each as the list of its files. */
export function importCycles(files: readonly SourceFile[]): string[] {
	const edges = new Map(files.map((file) => [file.path, file.imports.flatMap(({ target }) => target ?? [])]));
	const done = new Set<string>();
	const cycles: string[] = [];
	const visit = (path: string, trail: readonly string[]): void => {
		const at = trail.indexOf(path);
		if (at !== -1) {
			cycles.push(`${[...trail.slice(at), path].join(' → ')}. Move what both need into a file of its own.`);
		} else if (!done.has(path)) {
			for (const next of edges.get(path) ?? []) visit(next, [...trail, path]);
			done.add(path);
		}
	};
	for (const path of edges.keys()) visit(path, []);
	return cycles;
}
