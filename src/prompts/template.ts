import { Dotprompt } from 'dotprompt';
import Handlebars from 'handlebars';
import { systemRandom } from '../base/random.ts';
import { fileProblem } from '../contracts/source-file.ts';
import type { Problem } from '../spec/problem.ts';

/** A template's text, where it stands in its file, and its syntax tree. */
export interface TemplateSource {
	readonly file: string;
	/** 1-based line of the file at which the text starts. */
	readonly line: number;
	readonly program: hbs.AST.Program;
}

/** A stretch of a rendered prompt: a message of the template's own, or the place of the earlier turns. */
export type Section = { readonly role: 'system' | 'user' | 'assistant'; readonly text: string } | 'history';

export type Render = (values: Readonly<Record<string, unknown>>) => readonly Section[];

/** The roles a template may name, as Dotprompt calls them, with their names in OpenAI's chat shape. */
export const ROLES: ReadonlyMap<string, 'system' | 'user' | 'assistant'> = new Map([
	['system', 'system'],
	['user', 'user'],
	['model', 'assistant'],
] as const);

/**
 * What `{{role}}` and `{{history}}` leave in the rendered text. Dotprompt writes fixed markers there, so that a value that
 * contains one becomes a message of its own; nobody can write these, which are drawn when the process starts.
 */
const MARK = `\u0000${Buffer.from(systemRandom.bytes(18)).toString('base64url')}:`;
const HISTORY_CODE = 'h';
const SHARED_HELPERS = ['json', 'ifEquals', 'unlessEquals'];

/** Parses a template. A syntax error becomes a problem at its place in the file, and null. */
export function parseTemplate(
	text: string,
	at: { file: string; line: number },
	problems: Problem[],
): TemplateSource | null {
	try {
		return { ...at, program: Handlebars.parse(text) };
	} catch (error) {
		problems.push(syntaxProblem(error, text, at));
		return null;
	}
}

/** Compiles templates that share partials. Kept apart from other prompts': partials of one feature are not another's. */
export function createCompiler(partials: ReadonlyMap<string, TemplateSource>): (source: TemplateSource) => Render {
	const handlebars = Handlebars.create();
	// Dotprompt registers its helpers in the Handlebars that all of a process share, and exports them nowhere else.
	new Dotprompt();
	for (const name of SHARED_HELPERS) {
		const helper = Handlebars.helpers[name];
		if (helper) handlebars.registerHelper(name, helper);
	}
	handlebars.registerHelper('role', (role: string) => MARK + (role[0] ?? ''));
	handlebars.registerHelper('history', () => MARK + HISTORY_CODE);
	const options: CompileOptions = {
		knownHelpers: Object.fromEntries([...SHARED_HELPERS, 'role', 'history'].map((name) => [name, true])),
		knownHelpersOnly: true,
		noEscape: true,
	};
	for (const [name, { program }] of partials) handlebars.registerPartial(name, handlebars.compile(program, options));
	return ({ program }) => {
		const render = handlebars.compile(program, options);
		return (values) => sections(render(values));
	};
}

/**
 * Dotprompt's rules (`toMessages` of its reference implementation): text before the first role is the user's, text after
 * the history is the model's until a role says otherwise, blank stretches are dropped, and a prompt that does not place the
 * history has it before its last user message, or at its end.
 */
function sections(rendered: string): readonly Section[] {
	const found: { role: 'system' | 'user' | 'assistant'; text: string }[] = [];
	const placed: Section[] = [];
	let current = open('user');
	let hasHistory = false;
	function open(role: 'system' | 'user' | 'assistant') {
		const section = { role, text: '' };
		found.push(section);
		placed.push(section);
		return section;
	}
	const pieces = rendered.split(MARK);
	for (let i = 0; i < pieces.length; i++) {
		const piece = pieces[i] ?? '';
		if (i > 0 && piece[0] === HISTORY_CODE) {
			hasHistory = true;
			placed.push('history');
			current = open('assistant');
		} else if (i > 0) {
			const role = piece[0] === 's' ? 'system' : piece[0] === 'u' ? 'user' : 'assistant';
			if (current.text === '') current.role = role;
			else current = open(role);
		}
		const text = i > 0 ? piece.slice(1) : piece;
		if (text.trim() !== '') current.text += text;
	}
	const kept = placed.filter((section) => section === 'history' || section.text !== '');
	if (hasHistory) return kept;
	const last = kept.at(-1);
	const at = last && last !== 'history' && last.role === 'user' ? kept.length - 1 : kept.length;
	return kept.toSpliced(at, 0, 'history');
}

/** Handlebars says the line, and shows up to twenty characters before the fault; the column follows from these. */
function syntaxProblem(error: unknown, text: string, at: { file: string; line: number }): Problem {
	const message = error instanceof Error ? error.message : String(error);
	const problem = (line: number, column: number, what: string, hint: string): Problem => ({
		...fileProblem(at.file, what, hint),
		line: at.line + line - 1,
		column,
	});
	const mismatch = /^(\S+) doesn't match (\S+) - (\d+):(\d+)$/.exec(message);
	if (mismatch) {
		const [, opened, closed, line, column] = mismatch;
		const what = `the block {{#${opened}}} is closed by {{/${closed}}}`;
		return problem(Number(line), Number(column) + 1, what, `close it with {{/${opened}}}`);
	}
	const [first = '', shown = '', pointer = '', rest = ''] = message.split('\n');
	const line = Number(/on line (\d+)/.exec(first)?.[1] ?? 1);
	const source = text.split('\n')[line - 1] ?? '';
	const found = /got '(\w+)'/.exec(rest)?.[1];
	const column = faultColumn(source, shown.slice(0, Math.max(0, pointer.indexOf('^'))));
	if (found === 'EOF')
		return problem(
			line,
			column,
			'the template ends inside a block or a tag',
			'close the block with {{/…}}, the tag with }}',
		);
	const near = source.slice(Math.max(0, column - 6), column + 14).trim();
	return problem(line, column, `does not parse near ${JSON.stringify(near)}`, 'see handlebarsjs.com for the syntax');
}

function faultColumn(line: string, before: string): number {
	const past = before.replace(/^\.\.\./, '');
	for (let start = 0; start < past.length; start++) {
		const found = line.indexOf(past.slice(start));
		if (found >= 0) return found + past.length - start + 1;
	}
	return 1;
}
