import type { SchemaDialect } from './schema-dialect.ts';
import { isMapping } from './schema-node.ts';
import { targetOf } from './schema-reference.ts';
import type { FieldPath } from './yaml-document.ts';

type Schema = Readonly<Record<string, unknown>>;

/** A place of a schema that a provider cannot be told, and what it is. */
export interface Misfit {
	readonly path: FieldPath;
	readonly what: string;
}

export interface SchemaFit {
	/** What the provider is sent: whatever satisfies it and the original's other keywords is what was asked for. Null: it cannot be. */
	readonly schema: Schema | null;
	/** Keywords that are left out. */
	readonly dropped: readonly Misfit[];
	/** Why it cannot be sent. */
	readonly barred: readonly Misfit[];
}

/** Schemas by name, whose keywords stand one level below. */
const NAMED = new Set(['properties', '$defs']);
const LISTED = new Set(['anyOf', 'prefixItems']);
/** Annotations: nobody misses them. */
const SILENT = new Set([
	'$schema',
	'$id',
	'$comment',
	'$anchor',
	'$dynamicAnchor',
	'$vocabulary',
	'default',
	'examples',
	'title',
	'description',
	'deprecated',
	'readOnly',
	'writeOnly',
]);

/**
 * Fits a schema into a provider's subset. Keywords that only narrow are left out, since the answer is validated anyway;
 * what can be neither said nor left out bars the whole, and the schema is then asked for in the prompt.
 */
export function fitSchema(schema: Schema, dialect: SchemaDialect): SchemaFit {
	const fitting = new Fitting(dialect);
	const fitted = fitting.node(schema, [], 0);
	const { type } = fitted;
	if (dialect.objectRoot && type !== 'object') fitting.bar([], 'is not an object as a whole');
	if (!dialect.recursive && refersToItself(schema)) fitting.bar([], 'refers to itself');
	if (fitting.properties > dialect.propertiesMax) fitting.bar([], `has more than ${dialect.propertiesMax} properties`);
	const { dropped, barred } = fitting;
	return { schema: barred.length > 0 ? null : fitted, dropped, barred };
}

class Fitting {
	readonly dropped: Misfit[] = [];
	readonly barred: Misfit[] = [];
	properties = 0;
	readonly #dialect: SchemaDialect;

	constructor(dialect: SchemaDialect) {
		this.#dialect = dialect;
	}

	bar(path: FieldPath, what: string): void {
		this.barred.push({ path, what });
	}

	node(schema: unknown, path: FieldPath, depth: number): Record<string, unknown> {
		const fitted: Record<string, unknown> = {};
		if (!isMapping(schema)) {
			if (schema === false || this.#dialect.typed) this.bar(path, 'says nothing of its type');
			return fitted;
		}
		if (depth > this.#dialect.depthMax) {
			this.bar(path, `is nested deeper than ${this.#dialect.depthMax} levels`);
			return fitted;
		}
		for (const [keyword, value] of Object.entries(schema)) this.#keyword(fitted, { keyword, value, path, depth });
		this.#type(fitted, path);
		if (isObjectType(fitted.type)) this.#object(fitted, path);
		return fitted;
	}

	#keyword(
		fitted: Record<string, unknown>,
		{ keyword, value, path, depth }: { keyword: string; value: unknown; path: FieldPath; depth: number },
	): void {
		const here = [...path, keyword];
		if (keyword === '$id' && path.length > 0) this.bar(here, 'is a part with an address of its own ($id)');
		// One of several, and not more than one: the second half is left to the validation.
		const sent = keyword === 'oneOf' ? 'anyOf' : keyword;
		if (!this.#dialect.keywords.has(sent) || (sent !== keyword && 'anyOf' in fitted)) {
			// A constant is a list of one.
			if (keyword === 'const' && this.#dialect.keywords.has('enum')) fitted.enum = [value];
			else if (!SILENT.has(keyword)) this.dropped.push({ path: here, what: keyword });
			return;
		}
		if (NAMED.has(sent) && isMapping(value)) {
			// Only objects in objects are nested, as providers count.
			const below = sent === '$defs' ? 0 : depth + 1;
			if (sent === 'properties') this.properties += Object.keys(value).length;
			const members = Object.entries(value).map(([name, one]) => [name, this.node(one, [...here, name], below)]);
			fitted[sent] = Object.fromEntries(members);
		} else if (LISTED.has(sent) && Array.isArray(value)) {
			fitted[sent] = value.map((one, index) => this.node(one, [...here, index], depth));
		} else if (sent === 'items' || (sent === 'additionalProperties' && isMapping(value))) {
			fitted[sent] = this.node(value, here, depth);
		} else {
			fitted[sent] = value;
			if (sent === '$ref' && value !== '#' && !String(value).startsWith('#/$defs/')) {
				this.bar(here, 'is a reference to something else than a definition under $defs');
			}
		}
	}

	#type(fitted: Record<string, unknown>, path: FieldPath): void {
		if (!this.#dialect.typed || fitted.type !== undefined || fitted.anyOf || fitted.$ref) return;
		const values = Array.isArray(fitted.enum) ? fitted.enum : 'const' in fitted ? [fitted.const] : [];
		const types = new Set(values.map(typeOf));
		const [type] = types;
		if (types.size === 1 && type !== undefined) fitted.type = type;
		else if (fitted.properties) fitted.type = 'object';
		else this.bar(path, 'says nothing of its type');
	}

	#object(fitted: Record<string, unknown>, path: FieldPath): void {
		const { isClosed, allRequired } = this.#dialect;
		const names = Object.keys(isMapping(fitted.properties) ? fitted.properties : {});
		if (isClosed) {
			const open = fitted.additionalProperties;
			if (isMapping(open) || (names.length === 0 && open !== false)) {
				this.bar(path, 'is an object whose members have no names');
			}
			fitted.additionalProperties = false;
		}
		const required = (Array.isArray(fitted.required) ? fitted.required : []).filter(
			(name) => !isClosed || names.includes(String(name)),
		);
		if (fitted.required !== undefined) fitted.required = required;
		if (!allRequired) return;
		for (const name of names) {
			if (!required.includes(name)) this.bar([...path, 'properties', name], 'is a property that is not required');
		}
	}
}

function isObjectType(type: unknown): boolean {
	return type === 'object' || (Array.isArray(type) && type.includes('object'));
}

function typeOf(value: unknown): string | undefined {
	if (value === null) return 'null';
	if (typeof value === 'number') return Number.isInteger(value) ? 'integer' : 'number';
	return typeof value === 'string' || typeof value === 'boolean' ? typeof value : undefined;
}

/** Whether a reference leads back to a part that holds it. */
function refersToItself(root: Schema): boolean {
	const settled = new Set<unknown>();
	const visit = (schema: unknown, within: ReadonlySet<unknown>): boolean => {
		if (typeof schema !== 'object' || schema === null || settled.has(schema)) return false;
		if (within.has(schema)) return true;
		const inside = new Set([...within, schema]);
		const target = isMapping(schema) && typeof schema.$ref === 'string' ? targetOf(root, schema.$ref) : null;
		const circular =
			visit(target, inside) || Object.entries(schema).some(([key, value]) => key !== '$defs' && visit(value, inside));
		if (!circular) settled.add(schema);
		return circular;
	};
	return visit(root, new Set());
}
