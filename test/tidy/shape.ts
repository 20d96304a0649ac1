import { existsSync } from 'node:fs';
import { basename, join } from 'node:path';
import { child, children, nameOf, ROOT, type SourceFile, type SyntaxNode } from './source-file.ts';

const FILE_LINES_MAX = 400;
/** A suite may be longer than what it holds to its promises. */
const TEST_LINES_MAX = 600;
const FUNCTION_LINES_MAX = 90;

/** Functions that may be longer, each with its reason. */
const LONG_FUNCTIONS: ReadonlyMap<string, string> = new Map([]);

const NAMES_THAT_SAY_NOTHING = /^(types?|utils?|helpers?|common|misc|shared|constants|interfaces|index)\.(ts|js)$/;

/** Files and functions that have grown too long. */
export function overlong(files: readonly SourceFile[], allowed = LONG_FUNCTIONS): string[] {
	return files.flatMap((file) => {
		const linesMax = file.path.startsWith('test/') ? TEST_LINES_MAX : FILE_LINES_MAX;
		const long = file.path.startsWith('src/') ? longFunctions(file).filter(({ id }) => !allowed.has(id)) : [];
		return [
			...(file.lines > linesMax
				? [`${file.path} has ${file.lines} lines; ${linesMax} is the most. Which two things does it do?`]
				: []),
			...long.map(
				({ id, lines }) =>
					`${id} has ${lines} lines; ${FUNCTION_LINES_MAX} is the most. Give its stages names, or add it to LONG_FUNCTIONS with the reason.`,
			),
		];
	});
}

/** Entries of the list of exceptions that no function needs any more. */
export function idleExceptions(files: readonly SourceFile[], allowed = LONG_FUNCTIONS): string[] {
	const needed = new Set(files.flatMap((file) => longFunctions(file).map(({ id }) => id)));
	return [...allowed.keys()].filter((id) => !needed.has(id));
}

function longFunctions(file: SourceFile): { id: string; lines: number }[] {
	const named = new Map<SyntaxNode, string>();
	for (const node of file.nodes) {
		const value = child(node, node.type === 'VariableDeclarator' ? 'init' : 'value');
		const name = nameOf(child(node, node.type === 'VariableDeclarator' ? 'id' : 'key'));
		if (value !== null && name !== null) named.set(value, name);
	}
	return file.nodes
		.filter((node) => /^(FunctionDeclaration|FunctionExpression|ArrowFunctionExpression)$/.test(node.type))
		.map((node) => ({
			id: `${file.path}#${nameOf(child(node, 'id')) ?? named.get(node) ?? `line ${file.lineOf(node.start)}`}`,
			lines: file.lineOf(node.end - 1) - file.lineOf(node.start) + 1,
		}))
		.filter(({ lines }) => lines > FUNCTION_LINES_MAX);
}

/** `any`, loose ends, casts through unknown, names that say nothing. */
export function looseEnds(files: readonly SourceFile[]): string[] {
	return files.flatMap((file) => [
		...file.nodes
			.filter((node) => node.type === 'TSAnyKeyword')
			.map((node) => `${file.path}:${file.lineOf(node.start)} says any. Say what it is, or parse it with a schema.`),
		...file.nodes
			.filter((node) => file.path.startsWith('src/') && isDoubleCast(node))
			.map((node) => `${file.path}:${file.lineOf(node.start)} casts through unknown. Parse the value with a schema.`),
		...[...file.text.matchAll(/\b(TO\x44O|FIXM\x45|XX\x58|HAC\x4b)\b/g)].map(
			(match) => `${file.path}:${file.lineOf(match.index)} leaves a ${match[0]}. Finish it, or write an issue.`,
		),
		...(NAMES_THAT_SAY_NOTHING.test(basename(file.path)) && file.path !== 'src/index.ts'
			? [`${file.path}: name the file after the one noun of the vocabulary that it is about.`]
			: []),
		...(/^[a-z0-9]+([.-][a-z0-9]+)*$/.test(basename(file.path)) ? [] : [`${file.path}: file names are kebab-case.`]),
	]);
}

function isDoubleCast(node: SyntaxNode): boolean {
	const inner = node.type === 'TSAsExpression' ? child(node, 'expression') : null;
	return inner?.type === 'TSAsExpression' && child(inner, 'typeAnnotation')?.type === 'TSUnknownKeyword';
}

/** Three positional parameters are the aim; a fourth is borne, a fifth is not. */
const PARAMETERS_MAX = 4;

/** Functions with too many positional parameters. */
export function crowdedSignatures(files: readonly SourceFile[]): string[] {
	return files
		.filter((file) => file.path.startsWith('src/'))
		.flatMap((file) =>
			file.nodes
				.filter((node) => /^(FunctionDeclaration|FunctionExpression|ArrowFunctionExpression)$/.test(node.type))
				.map((node) => ({ line: file.lineOf(node.start), count: children(node, 'params').length }))
				.filter(({ count }) => count > PARAMETERS_MAX)
				.map(({ line, count }) => `${file.path}:${line} takes ${count} positional parameters. Take an object.`),
		);
}

/** Tests whose place says nothing about what they hold: test/<folder>/ mirrors src/<folder>/. */
export function misplacedTests(paths: readonly string[]): string[] {
	const tests = paths.filter((path) => path.endsWith('.test.ts'));
	return tests
		.filter((path) => {
			const folder = path.split('/')[1] ?? '';
			return !TEST_FOLDERS_OF_THEIR_OWN.has(folder) && !existsSync(join(ROOT, 'src', folder));
		})
		.map((path) => `${path}: src/ has no such folder. Tests live in test/<folder of src>/<noun>.test.ts.`);
}

/** Folders of tests that are about the whole, not about one folder of src/. */
const TEST_FOLDERS_OF_THEIR_OWN = new Set([
	'tidy',
	'scripts',
	'bench',
	'end-to-end',
	'examples',
	'library',
	'simulation',
]);
