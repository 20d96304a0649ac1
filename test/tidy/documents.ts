import { existsSync, readFileSync } from 'node:fs';
import { join, posix } from 'node:path';
import { child, children, nameOf, ROOT, type SourceFile } from './source-file.ts';

export interface Document {
	/** From the repository's root. */
	readonly path: string;
	readonly text: string;
}

export function document(path: string): Document {
	return { path, text: readFileSync(join(ROOT, path), 'utf8') };
}

/** Relative links, and links to headings, that lead nowhere. */
export function brokenLinks(
	documents: readonly Document[],
	exists = (path: string) => existsSync(join(ROOT, path)),
): string[] {
	const anchors = new Map(documents.map((it) => [it.path, new Set(headingAnchors(it.text))]));
	return documents.flatMap((it) =>
		[...withoutFences(it.text).matchAll(/\]\(([^)\s]+)\)/g)].flatMap((match) => {
			const [target = '', anchor] = (match[1] ?? '').split('#');
			if (/^[a-z]+:/.test(target)) return [];
			const path = target === '' ? it.path : posix.join(posix.dirname(it.path), target);
			if (!exists(path)) return [`${it.path} links to ${match[1]}, which does not exist.`];
			const missing = anchor !== undefined && anchors.has(path) && !anchors.get(path)?.has(anchor);
			return missing ? [`${it.path} links to ${match[1]}, but that page has no such heading.`] : [];
		}),
	);
}

/** As GitHub makes them. */
function headingAnchors(text: string): string[] {
	return [...withoutFences(text).matchAll(/^#+ +(.+)$/gm)].map((match) =>
		(match[1] ?? '')
			.toLowerCase()
			.replace(/[^\p{L}\p{N}\s_-]/gu, '')
			.replaceAll(' ', '-'),
	);
}

function withoutFences(text: string): string {
	return text.replace(/^ *```[\s\S]*?^ *```/gm, '');
}

/** What the command line offers, read from its source: names of commands and of options. */
export interface CommandLine {
	readonly commands: ReadonlySet<string>;
	readonly options: ReadonlySet<string>;
}

/** Null while there is no command line. */
export function commandLine(files: readonly SourceFile[]): CommandLine | null {
	const cli = files.filter(({ path }) => path.startsWith('src/cli/'));
	if (!cli.some(({ path }) => path === 'src/cli/main.ts')) return null;
	const calls = cli.flatMap(({ nodes }) =>
		nodes.flatMap((node) => {
			const callee = node.type === 'CallExpression' || node.type === 'NewExpression' ? child(node, 'callee') : null;
			const method = callee === null ? null : (nameOf(child(callee, 'property')) ?? nameOf(callee));
			const first = nameOf(children(node, 'arguments')[0] ?? null);
			return method === null || first === null ? [] : [{ method, first }];
		}),
	);
	const words = (pattern: RegExp) => calls.filter(({ method }) => pattern.test(method)).map(({ first }) => first);
	return {
		commands: new Set(words(/^(command|Command|helpCommand)$/).map((it) => it.split(' ')[0] ?? '')),
		options: new Set([
			...words(/^(option|requiredOption|Option)$/).flatMap((it) => it.match(/--[a-z-]+/g) ?? []),
			'--help',
			'--version',
		]),
	};
}

/** Commands and options that documents mention and the command line lacks. */
export function unknownCommands(documents: readonly Document[], cli: CommandLine): string[] {
	return documents.flatMap((it) =>
		shellLines(it.text).flatMap((line) => {
			const call = /(?:^|[\s(])plimsoll ([a-z][a-z-]*)(?![\w.:-])(.*)/.exec(line);
			if (call === null) return [];
			const [, command = '', rest = ''] = call;
			if (!cli.commands.has(command)) return [`${it.path} mentions "plimsoll ${command}", which is no command.`];
			const options = rest.split(/[|;&#]/)[0]?.match(/(?<=\s)--[a-z-]+/g) ?? [];
			return options
				.filter((name) => !cli.options.has(name))
				.map((name) => `${it.path} mentions "plimsoll ${command} … ${name}", which is no option.`);
		}),
	);
}

/** Scripts that documents tell to run and package.json lacks. */
export function unknownScripts(documents: readonly Document[], scripts: ReadonlySet<string>): string[] {
	return documents.flatMap((it) =>
		[...it.text.matchAll(/npm run (?:-s )?([a-z][a-z:-]*)/g)]
			.filter((match) => !scripts.has(match[1] ?? ''))
			.map((match) => `${it.path} mentions "npm run ${match[1]}", which package.json lacks.`),
	);
}

/** Lines of code blocks and the inline code of a Markdown text. */
function shellLines(text: string): string[] {
	const fences = [...text.matchAll(/^ *```[^\n]*\n([\s\S]*?)^ *```/gm)].flatMap((match) =>
		(match[1] ?? '').replaceAll('\\\n', ' ').split('\n'),
	);
	const inline = [...withoutFences(text).matchAll(/`([^`\n]+)`/g)].map((match) => match[1] ?? '');
	return [...fences, ...inline];
}

/** Paths in the route table of the gateway, as OpenAPI writes them; empty while there is none. */
export function routePaths(files: readonly SourceFile[]): string[] {
	return files
		.filter(({ path }) => path.startsWith('src/gateway/'))
		.flatMap(({ nodes }) => nodes)
		.filter((node) => node.type === 'Property' && nameOf(child(node, 'key')) === 'path')
		.flatMap((node) => nameOf(child(node, 'value')) ?? [])
		.filter((path) => path.startsWith('/'));
}

/** Paths that documents mention because other servers offer them to us. */
const OF_UPSTREAMS = new Set(['/v1/embeddings']);

/** HTTP paths of ours that documents mention and the route table lacks. */
export function unknownRoutes(documents: readonly Document[], routes: readonly string[]): string[] {
	const known = routes.map((route) => new RegExp(`^${route.replace(/\{[^}]+\}/g, '[^/]+')}$`));
	return documents.flatMap((it) =>
		[
			...it.text.matchAll(
				/(?:(?:127\.0\.0\.1|localhost):4600|(?:GET|POST|DELETE) |`)(\/(?:v1|admin|healthz|readyz|openapi\.json|metrics)[\w/{}<>.-]*)/g,
			),
		]
			.map((match) => (match[1] ?? '').replace(/[.]$/, ''))
			.filter(
				(path) =>
					!OF_UPSTREAMS.has(path) && path !== '/v1' && path !== '/v1/' && !known.some((route) => route.test(path)),
			)
			.map((path) => `${it.path} mentions ${path}, which the gateway does not serve.`),
	);
}

/** Home folders, temporary places and package registries: what belongs to one machine and not to the project. */
export function machineTraces(documents: readonly Document[]): string[] {
	const pattern =
		/(?:\/(?:home|Users)\/[a-z][\w-]*\/|(?<![\w/])\/root\/\w|\/work\/|\/tmp\/[\w-]|[A-Z]:\\\\Users|registry\.npm\w+\.\w+|"resolved": "https?:)/g;
	return documents.flatMap((it) =>
		[...it.text.matchAll(pattern)].map((match) => `${it.path} holds ${match[0]}, which belongs to one machine.`),
	);
}
