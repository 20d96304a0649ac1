import { readdirSync, readFileSync } from 'node:fs';
import { join, posix } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseAst } from 'rolldown/parseAst';

export const ROOT = fileURLToPath(new URL('../../', import.meta.url));

/** Any node of the syntax tree, in ESTree's form. */
export interface SyntaxNode {
	readonly type: string;
	readonly start: number;
	readonly end: number;
	readonly [member: string]: unknown;
}

export interface Import {
	/** As written: `../base/clock.ts`, `node:fs`, `undici`. */
	readonly specifier: string;
	/** Path from the repository's root when it is relative; null for packages and built-ins. */
	readonly target: string | null;
	/** Imported names; `*` for all of them, as with `import * as` and `import()`. */
	readonly names: readonly string[];
	readonly typeOnly: boolean;
	readonly line: number;
}

/** A parsed TypeScript or JavaScript file. */
export interface SourceFile {
	/** From the repository's root, with forward slashes. */
	readonly path: string;
	readonly text: string;
	readonly lines: number;
	readonly imports: readonly Import[];
	/** Names that it exports itself or passes on by name. */
	readonly exports: readonly { readonly name: string; readonly line: number }[];
	readonly nodes: readonly SyntaxNode[];
	readonly lineOf: (offset: number) => number;
}

/** Every tracked-looking TypeScript and JavaScript file of the code base, each parsed once. */
export function codeBase(): readonly SourceFile[] {
	return ['src', 'test', 'bench', 'examples', 'scripts', 'bin'].flatMap((folder) =>
		filesBelow(folder)
			.filter((path) => /\.(ts|js)$/.test(path))
			.map((path) => sourceFile(path, readFileSync(join(ROOT, path), 'utf8'))),
	);
}

/** Paths of the files below a folder of the repository; none when there is no such folder. */
export function filesBelow(folder: string): string[] {
	try {
		return readdirSync(join(ROOT, folder), { recursive: true, withFileTypes: true })
			.filter((entry) => entry.isFile())
			.map((entry) => posix.join(entry.parentPath.slice(ROOT.length).replaceAll('\\', '/'), entry.name))
			.sort();
	} catch (error) {
		if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return [];
		throw error;
	}
}

export function sourceFile(path: string, text: string): SourceFile {
	const program = parseAst(text, { lang: path.endsWith('.ts') ? 'ts' : 'js', sourceType: 'module' });
	const nodes: SyntaxNode[] = [];
	collect(program, nodes);
	const starts = lineStarts(text);
	const lineOf = (offset: number) => starts.findLastIndex((start) => start <= offset) + 1;
	return {
		path,
		text,
		lines: starts.length - (text.endsWith('\n') ? 1 : 0),
		imports: nodes.flatMap((node) => importOf(node, path, lineOf)),
		exports: nodes.flatMap((node) => exportedNames(node).map((name) => ({ name, line: lineOf(node.start) }))),
		nodes,
		lineOf,
	};
}

function collect(value: unknown, into: SyntaxNode[]): void {
	if (Array.isArray(value)) {
		for (const item of value) collect(item, into);
	} else if (isNode(value)) {
		into.push(value);
		for (const member of Object.values(value)) if (typeof member === 'object') collect(member, into);
	}
}

export function isNode(value: unknown): value is SyntaxNode {
	return typeof value === 'object' && value !== null && 'type' in value && typeof value.type === 'string';
}

/** The node in a member, or null. */
export function child(node: SyntaxNode, member: string): SyntaxNode | null {
	const value = node[member];
	return isNode(value) ? value : null;
}

/** The nodes in a member that is a list. */
export function children(node: SyntaxNode, member: string): readonly SyntaxNode[] {
	const value = node[member];
	return Array.isArray(value) ? value.filter(isNode) : [];
}

/** The name of an identifier, or the text of a string literal; null for anything else. */
export function nameOf(node: SyntaxNode | null): string | null {
	if (node === null) return null;
	const name = node.type === 'Literal' ? node.value : node.name;
	return typeof name === 'string' ? name : null;
}

function importOf(node: SyntaxNode, path: string, lineOf: (offset: number) => number): Import[] {
	const specifier = nameOf(child(node, 'source'));
	if (specifier === null || !/^(Import|Export|TSImportType)/.test(node.type)) return [];
	const specifiers = children(node, 'specifiers');
	const names = specifiers.map((it) => nameOf(child(it, node.type === 'ImportDeclaration' ? 'imported' : 'local')));
	const whole = node.type !== 'ImportDeclaration' && node.type !== 'ExportNamedDeclaration';
	const declaredType = node.importKind === 'type' || node.exportKind === 'type' || node.type === 'TSImportType';
	const eachType =
		specifiers.length > 0 && specifiers.every((it) => it.importKind === 'type' || it.exportKind === 'type');
	return [
		{
			specifier,
			target: specifier.startsWith('.') ? posix.join(posix.dirname(path), specifier) : null,
			// A default or namespace import has no imported name; it stands for the whole module.
			names: whole ? ['*'] : names.map((name) => name ?? '*'),
			typeOnly: declaredType || eachType,
			line: lineOf(node.start),
		},
	];
}

function exportedNames(node: SyntaxNode): string[] {
	if (node.type === 'ExportDefaultDeclaration') return ['default'];
	if (node.type !== 'ExportNamedDeclaration') return [];
	const declaration = child(node, 'declaration');
	const declared = declaration === null ? [] : [declaration, ...children(declaration, 'declarations')];
	const ids = declared.map((it) => nameOf(child(it, 'id')));
	const passedOn = children(node, 'specifiers').map((it) => nameOf(child(it, 'exported')));
	return [...ids, ...passedOn].filter((name) => name !== null);
}

function lineStarts(text: string): number[] {
	const starts = [0];
	for (let at = text.indexOf('\n'); at !== -1; at = text.indexOf('\n', at + 1)) starts.push(at + 1);
	return starts;
}
