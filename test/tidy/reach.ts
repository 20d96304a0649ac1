import { child, nameOf, type SourceFile } from './source-file.ts';

/** Where execution may enter src/, apart from the workers that files name themselves. */
const ENTRIES = ['src/index.ts', 'src/cli/main.ts'];

/** Files that serve tests alone and live in src/ all the same, each with its reason. */
const FILES_FOR_TESTS: ReadonlyMap<string, string> = new Map([
	['src/base/virtual-clock.ts', 'the second implementation of Clock: it belongs beside the first'],
]);

/** Files of src/ that no entry reaches. */
export function deadFiles(files: readonly SourceFile[], entries: readonly string[] = ENTRIES): string[] {
	const byPath = new Map(files.map((file) => [file.path, file]));
	const reached = new Set<string>();
	const queue = entries.filter((path) => byPath.has(path));
	for (let path = queue.pop(); path !== undefined; path = queue.pop()) {
		const file = byPath.get(path);
		if (file === undefined || reached.has(path)) continue;
		reached.add(path);
		queue.push(...file.imports.flatMap(({ target }) => target ?? []), ...workersOf(file));
	}
	return files
		.filter(({ path }) => path.startsWith('src/') && !reached.has(path) && !FILES_FOR_TESTS.has(path))
		.map(({ path }) => `${path} is reached from none of ${entries.join(', ')} and no worker. Wire it in or delete it.`);
}

/** Worker files named in `new URL('./x-worker.ts')`, also where the extension is chosen at run time. */
function workersOf(file: SourceFile): string[] {
	const folder = file.path.slice(0, file.path.lastIndexOf('/'));
	return [...file.text.matchAll(/\.\/([a-z-]+-worker)\b/g)].map((match) => `${folder}/${match[1]}.ts`);
}

/**
 * Exports of src/ that are dead. A live one is used by another file of the product; or it is what a test looks into, or
 * a type of an exported signature, and then its own file uses it too. What src/index.ts passes on is used by whoever
 * installs the package.
 */
export function unusedExports(files: readonly SourceFile[]): string[] {
	const usedBy = (isUser: (path: string) => boolean) =>
		new Set(
			files
				.filter(({ path }) => isUser(path))
				.flatMap(({ imports }) => imports.flatMap(({ target, names }) => names.map((name) => `${target}#${name}`))),
		);
	const product = usedBy((path) => !path.startsWith('test/'));
	const tests = usedBy((path) => path.startsWith('test/'));
	return files
		.filter(({ path }) => path.startsWith('src/') && !ENTRIES.includes(path) && !FILES_FOR_TESTS.has(path))
		.flatMap((file) =>
			file.exports
				.filter(({ name }) => {
					const id = `${file.path}#${name}`;
					if (product.has(id) || product.has(`${file.path}#*`)) return false;
					return !(usesItself(file, name) && (tests.has(id) || tests.has(`${file.path}#*`) || isTypeOf(file, name)));
				})
				.map(({ name, line }) => `${file.path}:${line} exports ${name}, which nothing of the product uses. Delete it.`),
		);
}

/** Whether the file mentions the name again beside its declaration. */
function usesItself(file: SourceFile, name: string): boolean {
	return file.nodes.filter((node) => node.type === 'Identifier' && node.name === name).length > 1;
}

function isTypeOf(file: SourceFile, name: string): boolean {
	return file.nodes.some(
		(node) => /^TS(Interface|TypeAlias)Declaration$/.test(node.type) && nameOf(child(node, 'id')) === name,
	);
}
