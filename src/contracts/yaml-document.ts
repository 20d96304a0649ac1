import { isMap, isScalar, isSeq, LineCounter, type Node, parseDocument, type Range, type YAMLError } from 'yaml';
import type { Problem } from '../spec/problem.ts';
import { fileProblem, type SourceFile } from './source-file.ts';

export type FieldPath = readonly PropertyKey[];

/** 1-based. */
interface Place {
	readonly line: number;
	readonly column: number;
}

/** A YAML file as plain values, with the place of each. */
export interface YamlDocument {
	readonly file: string;
	/** Mappings (without a prototype), arrays, strings, numbers, booleans and nulls. Null when the text is not YAML. */
	readonly value: unknown;
	/** Syntax errors, duplicate keys and YAML features that contracts do without. */
	readonly problems: readonly Problem[];
	/** False when the text is too broken to judge its fields. */
	readonly readable: boolean;
	/** Where the value at a path starts; the nearest enclosing value that exists when the path does not. */
	valuePlace(path: FieldPath): Place;
	/** Where the key at a path stands; the item itself in a list; the enclosing key when the path does not exist. */
	keyPlace(path: FieldPath): Place;
}

const DEPTH_MAX = 32;
const ERRORS_MAX = 100;

type Report = (offset: number, message: string, hint: string, field?: string | null) => void;

/** Parses YAML 1.2 (core schema). Never throws. */
export function parseYaml({ file, text }: Pick<SourceFile, 'file' | 'text'>): YamlDocument {
	const lines = new LineCounter();
	const document = parseDocument(text, {
		lineCounter: lines,
		prettyErrors: false,
		// With `silent` a second document would go unnoticed.
		logLevel: 'error',
		stringKeys: true,
		// The parser compares every key with every other; the reader below looks them up.
		uniqueKeys: false,
		resolveKnownTags: false,
	});
	const place = (offset: number): Place => {
		const { line, col } = lines.linePos(offset);
		return { line: Math.max(1, line), column: Math.max(1, col) };
	};
	// One slip can make every later line wrong; more of them help nobody.
	const problems = document.errors.slice(0, ERRORS_MAX).map((error) => syntaxProblem(file, error, place));
	const readable = problems.length === 0;
	const reader = new Reader((offset, message, hint, field = null) => {
		problems.push({ ...fileProblem(file, message, hint), ...place(offset), field });
	});
	const value = readable && document.contents ? reader.read(document.contents, []) : null;
	if (readable && problems.length === 0 && !isMap(document.contents)) {
		const message = document.contents ? 'is not a mapping of keys to values' : 'is empty';
		problems.push({ ...fileProblem(file, message), ...place(0), expected: 'lines of the form key: value' });
	}
	const find = (path: FieldPath, preferKeys: boolean): Place => {
		for (let length = path.length; length > 0; length--) {
			const key = pathKey(path.slice(0, length));
			const offset = (preferKeys ? reader.keys.get(key) : undefined) ?? reader.values.get(key);
			if (offset !== undefined) return place(offset);
		}
		return place(0);
	};
	return {
		file,
		value,
		problems,
		readable: readable && isMap(document.contents),
		valuePlace: (path) => find(path, false),
		keyPlace: (path) => find(path, true),
	};
}

/** One string for a path, to look it up by. */
export function pathKey(path: FieldPath): string {
	return path.map(String).join('\u0000');
}

class Reader {
	readonly values = new Map<string, number>();
	readonly keys = new Map<string, number>();
	readonly #report: Report;

	constructor(report: Report) {
		this.#report = report;
	}

	read(node: unknown, path: FieldPath): unknown {
		const { range, tag, anchor } = node as Partial<Node> & { range?: Range; anchor?: string };
		const offset = range?.[0] ?? 0;
		this.values.set(pathKey(path), offset);
		if (anchor) this.#report(offset, `anchor &${anchor} is not allowed here`, 'write the value out where it is used');
		if (tag)
			this.#report(offset, `tag ${tag.replace('tag:yaml.org,2002:', '!!')} is not allowed here`, 'leave the tag out');
		if (path.length > DEPTH_MAX) {
			this.#report(offset, `is nested deeper than ${DEPTH_MAX} levels`, 'flatten it');
			return null;
		}
		if (isScalar(node)) return this.#scalar(node.value, offset);
		if (isSeq(node)) return node.items.map((item, index) => this.read(item, [...path, index]));
		if (isMap(node)) return this.#mapping(node.items, path);
		if (node !== null) this.#report(offset, 'aliases are not allowed here', 'write the value out');
		return null;
	}

	#scalar(value: unknown, offset: number): unknown {
		if (typeof value !== 'number' || Number.isFinite(value)) return value ?? null;
		this.#report(offset, `${value} is not a number that can be worked with`, 'write a finite number');
		return null;
	}

	#mapping(pairs: readonly { key: unknown; value: unknown }[], path: FieldPath): object {
		// Without a prototype, so that a key named __proto__ is a key like any other.
		const mapping: Record<string, unknown> = Object.create(null);
		for (const { key, value } of pairs) {
			const name = isScalar(key) ? String(key.value) : '';
			const inner = [...path, name];
			const keyOffset = isScalar(key) ? key.range?.[0] : undefined;
			if (Object.hasOwn(mapping, name)) {
				this.#report(keyOffset ?? 0, 'this key stands here twice', 'keep one of them', inner.join('.'));
				continue;
			}
			if (keyOffset !== undefined) this.keys.set(pathKey(inner), keyOffset);
			mapping[name] = value === null ? null : this.read(value, inner);
			if (value === null && keyOffset !== undefined) this.values.set(pathKey(inner), keyOffset);
		}
		return mapping;
	}
}

function syntaxProblem(file: string, error: YAMLError, place: (offset: number) => Place): Problem {
	const at = place(error.pos[0]);
	const problem = { ...fileProblem(file, firstLine(error.message)), ...at };
	switch (error.code) {
		case 'MULTIPLE_DOCS':
			return { ...problem, message: 'a second document starts here', hint: 'keep one document in the file' };
		case 'TAB_AS_INDENT':
			return { ...problem, message: 'a tab is used to indent', hint: 'indent with spaces' };
		default:
			if (error.message.includes('call stack')) return { ...problem, message: 'is nested too deeply' };
			return { ...problem, message: `is not valid YAML: ${firstLine(error.message)}` };
	}
}

function firstLine(message: string): string {
	return message.split('\n', 1)[0]?.replace(/[.:]$/, '') ?? message;
}
