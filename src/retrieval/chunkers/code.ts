import type { DocumentText, Range, Syntax } from '../document-text.ts';
import { splitText, trimRange } from './split-text.ts';
import { type Limits, mergeSmall, type Unit, unit } from './unit.ts';

const MODIFIERS =
	'(?:(?:public|private|protected|internal|static|final|abstract|sealed|override|virtual|async|open|data|inline|export|default|declare|readonly|partial|suspend|fileprivate|unsafe|extern|const|pub(?:\\([^)]*\\))?)\\s+)*';

/** How a line looks that begins a function, a class or the like, without its indentation. Heuristics: no language is parsed. */
const DEFINITIONS: Readonly<Record<Syntax, RegExp>> = {
	script: new RegExp(
		`^${MODIFIERS}(?:function\\b|class\\b|interface\\b|type\\s+\\w|enum\\b|namespace\\b|module\\b|(?:const|let|var)\\s+\\w+\\s*(?::[^=]+)?=\\s*(?:async\\s*)?(?:\\(|function\\b|\\w+\\s*=>)|(?:get\\s+|set\\s+|\\*\\s*)?#?(?!(?:if|for|while|switch|catch|return|super|await)\\b)\\w+\\s*\\([^;]*\\{\\s*$)`,
	),
	python: /^(?:async\s+def|def|class)\s/,
	go: /^(?:func|type|var|const)\b/,
	rust: new RegExp(`^${MODIFIERS}(?:fn|struct|enum|trait|impl|mod|union|macro_rules!|static)\\b`),
	braces: new RegExp(
		`^${MODIFIERS}(?:class|interface|enum|record|struct|namespace|trait|object|protocol|extension|fun|func|function|def|init)\\b|^${MODIFIERS}(?!(?:if|for|while|switch|catch|return|else|do|new|throw)\\b)[\\w<>\\[\\],.?:*&~ ]+\\([^;=]*\\)[^;=]*\\{?\\s*$`,
	),
	ruby: /^(?:def|class|module)\s/,
	shell: /^(?:function\s+[\w:-]+|[\w:-]+\s*\(\)\s*)/,
	sql: /^(?:create|alter|drop|insert|update|delete|select|with|grant|begin)\b/i,
};

/** Comments, annotations and attributes: they belong to what follows them. */
const LEADS = /^(?:\/\/|\/\*|\*|#(?!include|define|if|endif|else)|--|@|\[\w)/;

interface Line extends Range {
	readonly indent: number;
	readonly definition: boolean;
	readonly leads: boolean;
}

/**
 * Source code by its functions and classes. What is too large falls apart into the definitions inside it, whose heading
 * path then names it, and then between lines; a line is only cut when it is too long itself. Comments stay with what follows.
 */
export function codeUnits({ text, bodyStart }: DocumentText, syntax: Syntax, limits: Limits): Unit[] {
	const lines = linesOf(text, bodyStart, DEFINITIONS[syntax]);
	const units = splitDefinitions(
		{ text, lines, tokensMax: limits.tokensMax },
		{ from: 0, to: lines.length, own: -1, path: [] },
	);
	return mergeSmall(text, units, limits);
}

function linesOf(text: string, from: number, definition: RegExp): Line[] {
	const lines: Line[] = [];
	for (let start = from; start < text.length; ) {
		const feed = text.indexOf('\n', start);
		const end = feed < 0 ? text.length : feed + 1;
		// What a line is shows at its beginning; minified code has lines of megabytes.
		const words = text.slice(start, Math.min(end, start + 400));
		const body = words.trim();
		const indent = words.slice(0, words.length - words.trimStart().length).replaceAll('\t', '    ').length;
		lines.push({
			start,
			end,
			indent,
			definition: definition.test(body),
			leads: LEADS.test(body) && !definition.test(body),
		});
		start = end;
	}
	return lines;
}

interface Code {
	readonly text: string;
	readonly lines: readonly Line[];
	readonly tokensMax: number;
}

interface Span {
	/** Lines [from, to). */
	readonly from: number;
	readonly to: number;
	/** The line that defines the span itself; -1 for a file. */
	readonly own: number;
	readonly path: readonly string[];
}

function splitDefinitions(code: Code, span: Span): Unit[] {
	const { text, lines, tokensMax } = code;
	const range = trimRange(text, { start: lines[span.from]?.start ?? 0, end: lines[span.to - 1]?.end ?? 0 });
	if (!range) return [];
	if (span.own >= 0 && range.end - range.start <= tokensMax * 8) {
		const whole = unit(text, range, { path: span.path });
		if (whole.tokens <= tokensMax) return [whole];
	}
	const inner = definitionsIn(code, span);
	if (inner.length === 0) return splitText(text, range, 'lines', tokensMax).map((piece) => unit(text, piece, span));
	const below = span.own < 0 ? span.path : [...span.path, signature(text, lines[span.own])];
	const starts = inner.map((line) => leadStart(lines, line, span.from));
	const head = { start: range.start, end: lines[starts[0] ?? 0]?.start ?? range.start };
	return [
		...splitText(text, head, 'lines', tokensMax).map((piece) => unit(text, piece, span)),
		...inner.flatMap((own, index) => {
			const part = { from: starts[index] ?? own, to: starts[index + 1] ?? span.to, own, path: below };
			return splitDefinitions(code, part);
		}),
	];
}

/** The outermost definitions inside a span, by their indentation. */
function definitionsIn({ lines }: Code, { from, to, own }: Span): number[] {
	let outermost = Infinity;
	for (let at = Math.max(from, own + 1); at < to; at++) {
		const line = lines[at];
		if (line?.definition) outermost = Math.min(outermost, line.indent);
	}
	const found: number[] = [];
	for (let at = Math.max(from, own + 1); at < to; at++) {
		const line = lines[at];
		if (line?.definition && line.indent === outermost) found.push(at);
	}
	return found;
}

/** The first of the comments and annotations right above a line. */
function leadStart(lines: readonly Line[], at: number, from: number): number {
	let start = at;
	while (start > from && lines[start - 1]?.leads && lines[start - 1]?.indent === lines[at]?.indent) start--;
	return start;
}

function signature(text: string, line: Line | undefined): string {
	const words = text.slice(line?.start, line?.end).replace(/\s+/g, ' ').trim();
	return words.slice(0, 120).replace(/\s*[{:]$/, '');
}
