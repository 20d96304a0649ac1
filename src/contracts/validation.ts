import type * as z from 'zod';
import { nearest } from '../base/nearest.ts';
import type { Problem } from '../spec/problem.ts';
import { expectation, isMapping, nodeAt, type SchemaNode, unknownKeyHint, valueAt } from './schema-node.ts';
import type { FieldPath, YamlDocument } from './yaml-document.ts';

/** More problems than these in one file help nobody; the last one says how many were left out. */
const PROBLEMS_MAX = 100;

type Issue = z.core.$ZodIssue;

/** A schema in both of its forms. */
export interface Schema<T> {
	readonly zod: z.ZodType<T>;
	readonly json: SchemaNode;
}

/** What a check found out about a tree: the value with defaults when it is valid, else every problem at its place. */
interface Validated<T> {
	readonly value: T | null;
	readonly problems: readonly Problem[];
}

/** What is validated: the document's value with references resolved, and how to name values that must not be shown. */
interface Subject {
	readonly document: YamlDocument;
	readonly tree: unknown;
	/** Words for a value that came from elsewhere, so that no secret gets into a message; null for what the file says. */
	readonly sourceOf: (path: FieldPath) => string | null;
}

/** Validates a tree and reports each problem where it stands in the document. */
export function validate<T>(schema: Schema<T>, subject: Subject): Validated<T> {
	const parsed = schema.zod.safeParse(subject.tree);
	if (parsed.success) return { value: parsed.data, problems: [] };
	return { value: null, problems: parsed.error.issues.flatMap((issue) => explain(schema.json, subject, issue)) };
}

/** `models.route[1]` */
export function fieldName(path: FieldPath): string | null {
	const name = path.reduce<string>(
		(text, segment) =>
			typeof segment === 'number' ? `${text}[${segment}]` : `${text}${text && '.'}${String(segment)}`,
		'',
	);
	return name || null;
}

/** A problem of our own at a value of the document. */
export function problemAt(
	document: YamlDocument,
	path: FieldPath,
	what: { message: string; expected?: string | null; hint?: string | null },
): Problem {
	return {
		file: document.file,
		...document.valuePlace(path),
		field: fieldName(path),
		message: what.message,
		expected: what.expected ?? null,
		hint: what.hint ?? null,
	};
}

/** At most one problem for each place and field, the first found; in the order of the file; and not too many. */
export function tidy(problems: readonly Problem[]): readonly Problem[] {
	const first = new Map<string, Problem>();
	for (const problem of problems) {
		const key = `${problem.file}:${problem.line}:${problem.column}:${problem.field}`;
		if (!first.has(key)) first.set(key, problem);
	}
	const order = (a: Problem, b: Problem) => (a.line ?? 0) - (b.line ?? 0) || (a.column ?? 0) - (b.column ?? 0);
	return capped([...first.values()].sort(order));
}

function capped(problems: readonly Problem[]): readonly Problem[] {
	const last = problems[PROBLEMS_MAX - 1];
	if (!last || problems.length === PROBLEMS_MAX) return problems;
	const more = { ...last, field: null, expected: null, hint: 'correct those above first' };
	const message = `and ${problems.length - PROBLEMS_MAX + 1} more problems in this file`;
	return [...problems.slice(0, PROBLEMS_MAX - 1), { ...more, message }];
}

/** What was found, short enough for a line. */
export function found(value: unknown): string {
	if (typeof value === 'string')
		return `the text ${JSON.stringify(value.length > 60 ? `${value.slice(0, 57)}…` : value)}`;
	if (Array.isArray(value)) return 'a list';
	return typeof value === 'object' && value !== null ? 'a mapping' : String(value);
}

function explain(root: SchemaNode, subject: Subject, issue: Issue): Problem[] {
	const { document, tree } = subject;
	const { path } = issue;
	if (issue.code === 'unrecognized_keys') {
		const node = nodeAt(root, path, tree);
		return issue.keys.map((key) => unknownKey(root, node, document, [...path, key]));
	}
	if (issue.code === 'invalid_union' && issue.errors.length > 0) {
		const branch = issue.errors.find((errors) => !errors.some((error) => isOfOtherKind(error)));
		if (branch?.some((error) => error.path.length > 0 || error.code === 'unrecognized_keys')) {
			return branch.flatMap((error) => explain(root, subject, { ...error, path: [...path, ...error.path] }));
		}
	}
	const node = nodeAt(root, path, tree);
	const expected = node ? expectation(node) : null;
	const value = valueAt(tree, path);
	if (issue.code === 'invalid_key') {
		const keyNode = nodeAt(root, path.slice(0, -1), tree)?.propertyNames;
		const at = { ...problemAt(document, path, { message: 'is not a valid name' }), ...document.keyPlace(path) };
		return [{ ...at, expected: keyNode?.['x-expected'] ?? null }];
	}
	if (value === undefined) {
		// A reference that gave nothing has a problem of its own.
		if (valueAt(document.value, path) !== undefined) return [];
		const at = problemAt(document, path, { message: 'is missing', expected, hint: 'add it' });
		return [{ ...at, ...document.keyPlace(path) }];
	}
	if (issue.code === 'custom') return [problemAt(document, path, { message: issue.message, expected })];
	const elsewhere = subject.sourceOf(path);
	const hint = elsewhere ? null : valueHint(node, value);
	return [problemAt(document, path, { message: `found ${elsewhere ?? found(value)}`, expected, hint })];
}

function unknownKey(root: SchemaNode, node: SchemaNode | null, document: YamlDocument, path: FieldPath): Problem {
	const known = Object.keys(node?.properties ?? {});
	return {
		...problemAt(document, path, { message: 'unknown key' }),
		...document.keyPlace(path),
		expected: known.length > 0 ? `one of ${known.join(', ')}` : null,
		hint: unknownKeyHint(root, node, String(path.at(-1))),
	};
}

function isOfOtherKind(issue: Issue): boolean {
	return issue.path.length === 0 && (issue.code === 'invalid_type' || issue.code === 'invalid_value');
}

function valueHint(node: SchemaNode | null, value: unknown): string | null {
	if (node?.type === 'boolean' && typeof value === 'string') {
		if (/^(yes|on)$/i.test(value)) return 'write true';
		if (/^(no|off)$/i.test(value)) return 'write false';
	}
	if (isMapping(value) && 'env' in value) return 'only plimsoll.yaml refers to the environment';
	if (typeof value !== 'string' || !node) return null;
	const close = nearest(value, optionsOf(node));
	return close && close !== value ? `did you mean ${close}?` : null;
}

function optionsOf(node: SchemaNode): readonly string[] {
	const own = [...(node.enum ?? []), ...(node.const === undefined ? [] : [node.const])].map(String);
	return [...own, ...(node.anyOf ?? node.oneOf ?? []).flatMap(optionsOf)];
}
