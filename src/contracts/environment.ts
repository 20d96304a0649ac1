import type { Problem } from '../spec/problem.ts';
import { isMapping, nodeAt, type SchemaNode } from './schema-node.ts';
import { found, problemAt } from './validation.ts';
import { type FieldPath, pathKey, type YamlDocument } from './yaml-document.ts';

/** The variables that references are resolved from: a plain record, so that nothing here reads the process. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** `{env: NAME, default: value}` or `{file: path}` as found in a document. */
export interface Reference {
	readonly path: FieldPath;
	readonly kind: 'env' | 'file';
	/** Name of the variable, or path of the file as written. */
	readonly name: string;
	/** `set`: the environment or file gave the value; `default`: the reference's own default; `unset`: neither. */
	readonly state: 'set' | 'default' | 'unset';
}

/** A document's value with every reference replaced by what it stands for; an unset one is left out of its mapping. */
export interface Resolved {
	readonly tree: unknown;
	readonly references: ReadonlyMap<string, Reference>;
	readonly problems: readonly Problem[];
}

/** Fields that hold keys and secrets: only they may come from a file, and their values never appear in a message. */
export const SECRET_FIELDS: ReadonlySet<string> = new Set([
	'api_key',
	'secret_access_key',
	'session_token',
	'credentials',
	'hmac_secret',
	'public_keys',
	'session_secret',
]);

const NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;

interface Sources {
	readonly env: Environment;
	/** Texts of the secret files by their path as written; null where one could not be read. */
	readonly files: ReadonlyMap<string, string | null>;
}

/** The secret files that a document refers to, as written. */
export function secretFilesOf(document: YamlDocument): readonly { readonly name: string; readonly path: FieldPath }[] {
	const files: { name: string; path: FieldPath }[] = [];
	walk(document.value, [], (value, path) => {
		if (!isMapping(value) || !isSecret(path) || typeof value.file !== 'string') return false;
		files.push({ name: value.file, path });
		return true;
	});
	return files;
}

export function resolveReferences(document: YamlDocument, schema: SchemaNode, sources: Sources): Resolved {
	const references = new Map<string, Reference>();
	const problems: Problem[] = [];
	const resolve = (value: unknown, path: FieldPath): unknown => {
		if (Array.isArray(value)) return value.map((item, index) => resolve(item, [...path, index]));
		if (!isMapping(value)) return value;
		if (isReference(value, path)) {
			const [reference, resolved] = resolveOne({ document, value, path, problems }, sources);
			if (reference) references.set(pathKey(path), reference);
			return resolved;
		}
		const mapping: Record<string, unknown> = Object.create(null);
		for (const [key, member] of Object.entries(value)) {
			const resolved = resolve(member, [...path, key]);
			if (resolved !== undefined) mapping[key] = resolved;
		}
		return mapping;
	};
	const tree = resolve(document.value, []);
	return { tree: coerce(tree, schema, references), references, problems };
}

function resolveOne(
	at: { document: YamlDocument; value: Readonly<Record<string, unknown>>; path: FieldPath; problems: Problem[] },
	sources: Sources,
): [Reference | null, unknown] {
	const { document, value, path, problems } = at;
	const kind = 'env' in value ? 'env' : 'file';
	for (const key of Object.keys(value)) {
		if (key === kind || (kind === 'env' && key === 'default')) continue;
		const hint = kind === 'env' ? 'a reference is {env: NAME} or {env: NAME, default: value}' : '{file: path}';
		const place = document.keyPlace([...path, key]);
		problems.push({
			...problemAt(document, [...path, key], { message: 'unknown key of a reference', hint }),
			...place,
		});
	}
	const name = value[kind];
	if (typeof name !== 'string' || (kind === 'env' && !NAME.test(name))) {
		const expected = 'the name of an environment variable, such as OPENAI_API_KEY';
		problems.push(problemAt(document, [...path, kind], { message: `found ${found(name)}`, expected }));
		return [null, undefined];
	}
	const fallback = value.default;
	if (isMapping(fallback) || Array.isArray(fallback)) {
		const what = { message: `found ${found(fallback)}`, expected: 'a single value' };
		problems.push(problemAt(document, [...path, 'default'], what));
	}
	const given = kind === 'env' ? lookUp(sources.env, name) : (sources.files.get(name)?.trim() ?? null);
	if (given !== null) return [{ path, kind, name, state: 'set' }, given];
	if (fallback === undefined) return [{ path, kind, name, state: 'unset' }, undefined];
	return [{ path, kind, name, state: 'default' }, fallback];
}

/** Null when unset. An empty variable counts as unset: that is how shells and Compose files say "none". */
function lookUp(env: Environment, name: string): string | null {
	const value = Object.hasOwn(env, name) ? env[name] : undefined;
	return value === undefined || value === '' ? null : value;
}

/** Variables are text; where the schema wants a number or a boolean and the text is one, it becomes one. */
function coerce(tree: unknown, schema: SchemaNode, references: ReadonlyMap<string, Reference>): unknown {
	const replace = (value: unknown, path: FieldPath): unknown => {
		if (Array.isArray(value)) return value.map((item, index) => replace(item, [...path, index]));
		if (isMapping(value)) {
			const mapping: Record<string, unknown> = Object.create(null);
			for (const [key, member] of Object.entries(value)) mapping[key] = replace(member, [...path, key]);
			return mapping;
		}
		if (typeof value !== 'string' || references.get(pathKey(path))?.state !== 'set') return value;
		const node = nodeAt(schema, path, tree);
		const types = new Set([node?.type, ...(node?.anyOf ?? []).map((option) => option.type)]);
		if ((types.has('integer') || types.has('number')) && /^-?\d+(\.\d+)?(e-?\d+)?$/i.test(value)) return Number(value);
		if (types.has('boolean') && /^(true|false)$/.test(value)) return value === 'true';
		return value;
	};
	return replace(tree, []);
}

function isReference(value: Readonly<Record<string, unknown>>, path: FieldPath): boolean {
	// A mapping whose `env` is itself a mapping is a thing that someone named "env".
	if ('env' in value) return !isMapping(value.env);
	return isSecret(path) && 'file' in value;
}

function isSecret(path: FieldPath): boolean {
	return SECRET_FIELDS.has(String(path.at(-1)));
}

function walk(value: unknown, path: FieldPath, visit: (value: unknown, path: FieldPath) => boolean): void {
	if (visit(value, path)) return;
	if (Array.isArray(value)) for (const [index, item] of value.entries()) walk(item, [...path, index], visit);
	else if (isMapping(value)) for (const [key, member] of Object.entries(value)) walk(member, [...path, key], visit);
}
