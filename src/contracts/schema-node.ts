import { isMapping } from '../base/mapping.ts';
import { nearest } from '../base/nearest.ts';
import type { FieldPath } from './yaml-document.ts';

export { isMapping };

/** The part of JSON Schema that our own schemas compile to; `x-` members are our annotations. */
export interface SchemaNode {
	readonly type?: string;
	readonly description?: string;
	readonly default?: unknown;
	readonly examples?: readonly unknown[];
	readonly properties?: Readonly<Record<string, SchemaNode>>;
	readonly required?: readonly string[];
	readonly additionalProperties?: SchemaNode | boolean;
	readonly propertyNames?: SchemaNode;
	readonly items?: SchemaNode;
	readonly oneOf?: readonly SchemaNode[];
	readonly anyOf?: readonly SchemaNode[];
	readonly enum?: readonly unknown[];
	readonly const?: unknown;
	readonly minimum?: number;
	readonly maximum?: number;
	readonly exclusiveMinimum?: number;
	readonly minLength?: number;
	readonly maxLength?: number;
	readonly minItems?: number;
	readonly maxItems?: number;
	/** The unit of a number, e.g. `milliseconds`. */
	readonly 'x-unit'?: string;
	/** What is expected, in words, where the rest of the node cannot say it. */
	readonly 'x-expected'?: string;
	/** What applies when the key is left out and that depends on other keys. */
	readonly 'x-default'?: string;
	/** An upstream's preset says it where the file does not. */
	readonly 'x-preset'?: boolean;
	/** Names for the entries of a mapping, in examples: one for each variant. */
	readonly 'x-names'?: readonly string[];
}

/** The schema of the value at `path`; follows the branch of a union that `value` (the whole file) chose. */
export function nodeAt(root: SchemaNode, path: FieldPath, value: unknown): SchemaNode | null {
	let node: SchemaNode | null = branchFor(root, value);
	let current = value;
	for (const segment of path) {
		if (!node) return null;
		current = memberOf(current, segment);
		const named: SchemaNode | undefined = propertyOf(node, segment);
		const next: SchemaNode | boolean | undefined =
			typeof segment === 'number' ? node.items : (named ?? node.additionalProperties);
		node = typeof next === 'object' ? branchFor(next, current) : null;
	}
	return node;
}

/** A property of a mapping; of all its variants when none is chosen yet. */
function propertyOf(node: SchemaNode, key: PropertyKey): SchemaNode | undefined {
	if (node.properties) return Object.hasOwn(node.properties, key) ? node.properties[String(key)] : undefined;
	const variants = (node.oneOf ?? []).flatMap((option) => propertyOf(option, key) ?? []);
	return variants.length > 0 ? { anyOf: variants } : undefined;
}

/** The node without `or null`, where our annotations stand. */
export function withoutNull(node: SchemaNode): SchemaNode {
	const [only, ...others] = (node.anyOf ?? []).filter((option) => option.type !== 'null');
	if (!only || others.length > 0) return node;
	const { anyOf: _, ...outer } = node;
	return { ...only, ...outer };
}

/** What belongs in a place, in words: `an integer from 1 to 65535`. */
export function expectation(node: SchemaNode): string {
	if (node['x-expected']) return node['x-expected'];
	const options = node.anyOf ?? node.oneOf;
	if (options) return [...new Set(options.map(expectation))].join(', or ');
	if (node.const !== undefined) return String(node.const);
	if (node.enum) return `one of ${node.enum.map(String).join(', ')}`;
	switch (node.type) {
		case 'integer':
		case 'number':
			return numberExpectation(node);
		case 'string':
			return node.maxLength === undefined ? 'text' : `text of ${node.minLength ?? 0} to ${node.maxLength} characters`;
		case 'boolean':
			return 'true or false';
		case 'null':
			return 'null';
		case 'array':
			return `a list of ${node.minItems ? `at least ${node.minItems} of ` : ''}${node.items ? expectation(node.items) : 'values'}`;
		default:
			return node.properties ? `a mapping with the keys ${Object.keys(node.properties).join(', ')}` : 'a mapping';
	}
}

/** What to do about a key that does not exist: the nearest one here, or the place where it does exist. */
export function unknownKeyHint(root: SchemaNode, node: SchemaNode | null, key: string): string | null {
	const here = Object.keys(node?.properties ?? {});
	const close = nearest(key, here) ?? here.find((name) => name.startsWith(`${key}_`) || key.startsWith(`${name}_`));
	const elsewhere = findKey(root, key);
	if (elsewhere) return `${key} belongs under ${elsewhere}`;
	return close ? `did you mean ${close}?` : null;
}

/** Every key that has a meaning somewhere below `node`, with its path; list items and free names as `[]` and `*`. */
export function* keysBelow(node: SchemaNode, path: readonly string[] = []): Generator<[readonly string[], SchemaNode]> {
	for (const option of [node, ...(node.oneOf ?? []), ...(node.anyOf ?? [])]) {
		for (const [key, child] of Object.entries(option.properties ?? {})) {
			yield [[...path, key], child];
			yield* keysBelow(child, [...path, key]);
		}
		if (typeof option.additionalProperties === 'object') yield* keysBelow(option.additionalProperties, [...path, '*']);
		if (option.items) yield* keysBelow(option.items, [...path, '[]']);
	}
}

function findKey(root: SchemaNode, key: string): string | null {
	for (const [path] of keysBelow(root)) {
		if (path.at(-1) === key) return path.length > 1 ? path.slice(0, -1).join('.') : 'the top of the file';
	}
	return null;
}

function numberExpectation({ type, minimum, maximum, exclusiveMinimum, 'x-unit': unit }: SchemaNode): string {
	const low = minimum ?? exclusiveMinimum;
	const above = minimum === undefined && exclusiveMinimum !== undefined ? 'above ' : 'from ';
	const range = low === undefined || maximum === undefined ? '' : ` ${above}${low} to ${maximum}`;
	return `${type === 'integer' ? 'an integer' : 'a number'}${range}${unit ? ` (${unit})` : ''}`;
}

function branchFor(node: SchemaNode, value: unknown): SchemaNode {
	const options = node.oneOf ?? node.anyOf;
	if (!options) return node;
	const fitting = options.find((option) => {
		const [name, constant] =
			Object.entries(option.properties ?? {}).find(([, child]) => child.const !== undefined) ?? [];
		if (name !== undefined) return memberOf(value, name) === constant?.const;
		return Array.isArray(value) ? option.type === 'array' : isMapping(value) === (option.type === 'object');
	});
	return typeof value === 'object' && value !== null && fitting ? fitting : node;
}

/** The member of a mapping or the item of a list; undefined when there is none. */
export function memberOf(value: unknown, key: PropertyKey): unknown {
	if (Array.isArray(value)) return typeof key === 'number' ? value[key] : undefined;
	return isMapping(value) && Object.hasOwn(value, key) ? value[String(key)] : undefined;
}

/** The value at a path; undefined when there is none. */
export function valueAt(value: unknown, path: FieldPath): unknown {
	return path.reduce(memberOf, value);
}
