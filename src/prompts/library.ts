import { accepted, fileProblem, refused } from '../contracts/source-file.ts';
import type { Checked, Problem } from '../spec/problem.ts';
import type { Prompt } from '../spec/prompt.ts';
import { createPrompt } from './compiled-prompt.ts';
import { type FrontMatter, parseFrontMatter } from './front-matter.ts';
import { rootShape } from './shape.ts';
import { createCompiler, parseTemplate, type TemplateSource } from './template.ts';
import { checkTemplate } from './template-check.ts';
import { compareVersions } from './version.ts';

/** The prompts of one feature. */
export interface PromptLibrary {
	/** Null when there is no such prompt or version. A null `version` means the highest one. */
	get(name: string, version: string | null): Prompt | null;
	/** By name, then from the lowest version to the highest. */
	list(): readonly Prompt[];
}

interface ReadPrompt {
	readonly file: string;
	readonly name: string;
	readonly head: FrontMatter & { readonly version: string };
	readonly template: TemplateSource;
}

/** `_name.prompt` is a partial; `name.label.prompt` is another version of `name`. */
const PROMPT_FILE = /^(?<name>[a-z0-9][a-z0-9-]*)(?:\.[A-Za-z0-9_-][A-Za-z0-9._-]*)?\.prompt$/;
const PARTIAL_FILE = /^_(?<name>[a-z0-9][a-z0-9-]*)\.prompt$/;

/**
 * Parses, checks and compiles prompt files, reporting everything that is wrong with any of them.
 *
 * @param files text by path as shown to users; the last part of the path says what the file is
 */
export function compilePrompts(files: ReadonlyMap<string, string>): Checked<PromptLibrary> {
	const problems: Problem[] = [];
	const partials = new Map<string, TemplateSource>();
	const prompts: ReadPrompt[] = [];
	for (const [file, text] of files) {
		const base = file.slice(file.lastIndexOf('/') + 1);
		const partial = PARTIAL_FILE.exec(base)?.groups?.name;
		const prompt = PROMPT_FILE.exec(base)?.groups?.name;
		if (partial) readPartial({ file, text: withoutMark(text) }, partial, { partials, problems });
		else if (prompt) prompts.push(...readPrompt({ file, text: withoutMark(text) }, prompt, problems));
		else
			problems.push(
				fileProblem(
					file,
					'is not the name of a prompt',
					'name it answer.prompt, answer.next.prompt or _partial.prompt',
				),
			);
	}
	reportDuplicates(prompts, problems);
	for (const { head, template } of prompts) {
		problems.push(...checkTemplate(template, rootShape(head.inputSchema), partials));
	}
	if (problems.length > 0) return refused(...inOrder(problems));
	const compile = createCompiler(partials);
	return accepted(
		createLibrary(prompts.map(({ name, head, template }) => createPrompt(name, head, compile(template)))),
	);
}

function readPartial(
	{ file, text }: { file: string; text: string },
	name: string,
	into: { partials: Map<string, TemplateSource>; problems: Problem[] },
): void {
	if (/^---[ \t]*\r?\n/.test(text)) {
		const problem = fileProblem(file, 'a partial has no front matter', 'take the lines from --- to --- out');
		into.problems.push({ ...problem, line: 1, column: 1 });
	}
	const other = into.partials.get(name);
	if (other) into.problems.push(fileProblem(file, `is the partial ${name}, as ${other.file} is`, 'rename one of them'));
	const source = parseTemplate(text, { file, line: 1 }, into.problems);
	// A partial that does not parse still exists: saying that it is missing would mislead.
	into.partials.set(name, source ?? { file, line: 1, program: emptyProgram() });
}

function readPrompt(source: { file: string; text: string }, name: string, problems: Problem[]): ReadPrompt[] {
	const head = parseFrontMatter(source, name, problems);
	if (!head) return [];
	const at = { file: source.file, line: head.templateLine };
	if (head.template === '') {
		problems.push({ ...fileProblem(source.file, 'the template is empty'), line: head.templateLine, column: 1 });
		return [];
	}
	const template = parseTemplate(head.template, at, problems);
	return template && head.version !== null
		? [{ file: source.file, name, head: { ...head, version: head.version }, template }]
		: [];
}

function reportDuplicates(prompts: readonly ReadPrompt[], problems: Problem[]): void {
	const seen = new Map<string, ReadPrompt>();
	for (const prompt of prompts) {
		const key = `${prompt.name}@${prompt.head.version}`;
		const first = seen.get(key);
		if (!first) seen.set(key, prompt);
		else {
			problems.push({
				...fileProblem(prompt.file, `is ${prompt.name} ${prompt.head.version}, as ${first.file} is`),
				field: 'plimsoll.version',
				hint: 'give one of them another version',
			});
		}
	}
}

function createLibrary(prompts: readonly Prompt[]): PromptLibrary {
	const sorted = prompts.toSorted((a, b) =>
		a.name < b.name ? -1 : a.name > b.name ? 1 : compareVersions(a.version, b.version),
	);
	const byVersion = new Map(sorted.map((prompt) => [`${prompt.name}@${prompt.version}`, prompt]));
	const highest = new Map(sorted.map((prompt) => [prompt.name, prompt]));
	return {
		get: (name, version) => (version === null ? highest.get(name) : byVersion.get(`${name}@${version}`)) ?? null,
		list: () => sorted,
	};
}

function inOrder(problems: readonly Problem[]): Problem[] {
	return problems.toSorted((a, b) => {
		if (a.file !== b.file) return a.file < b.file ? -1 : 1;
		return (a.line ?? 0) - (b.line ?? 0) || (a.column ?? 0) - (b.column ?? 0);
	});
}

/** Some editors put a byte order mark before the text. */
function withoutMark(text: string): string {
	return text.startsWith('\uFEFF') ? text.slice(1) : text;
}

function emptyProgram(): hbs.AST.Program {
	const start = { line: 1, column: 0 };
	return { type: 'Program', body: [], blockParams: [], loc: { source: '', start, end: start } };
}
