import { isMapping } from './schema-node.ts';
import { targetOf } from './schema-reference.ts';
import type { FieldPath } from './yaml-document.ts';

/** What is wrong at a place of a schema. */
export interface SchemaFault {
	readonly path: FieldPath;
	readonly message: string;
	readonly hint: string | null;
}

/** A schema is compiled, sent with every call and read by a model: larger ones are data. */
const PARTS_MAX = 5_000;
const DEPTH_MAX = 64;

/** Keywords that hold schemas by name, in a list, or one; and of these the ones that judge the same value as their holder. */
const BY_NAME = ['properties', 'patternProperties', '$defs', 'definitions', 'dependentSchemas'];
const LISTED = ['allOf', 'anyOf', 'oneOf', 'prefixItems'];
const SINGLE = [
	'items',
	'additionalProperties',
	'contains',
	'propertyNames',
	'not',
	'if',
	'then',
	'else',
	'unevaluatedProperties',
	'contentSchema',
];
const IN_PLACE = new Set(['dependentSchemas', 'allOf', 'anyOf', 'oneOf', 'not', 'if', 'then', 'else']);

/** Keywords that the validator would judge wrongly in some schemas (test/guards/json-schema-suite.test.ts). */
const UNSUPPORTED: Readonly<Record<string, string>> = {
	$dynamicRef: 'write $ref',
	$dynamicAnchor: 'write $anchor',
	$recursiveRef: 'write $ref',
	$vocabulary: 'leave it out',
	unevaluatedItems: 'say it with prefixItems and items',
};

interface Part {
	readonly schema: unknown;
	readonly path: FieldPath;
	/** It judges the same value as the part that holds it. */
	readonly inPlace: boolean;
}

/** What of a valid JSON Schema is not taken: too large, reaching elsewhere, endless, or beyond what can be judged. */
export function schemaFaults(root: Readonly<Record<string, unknown>>): readonly SchemaFault[] {
	const faults: SchemaFault[] = [];
	const report = (path: FieldPath, message: string, hint: string | null = null) => faults.push({ path, message, hint });
	const ends = new EndSeeker(root);
	const halves: FieldPath[] = [];
	let isUnevaluated = false;
	const waiting: Part[] = [{ schema: root, path: [], inPlace: false }];
	for (let seen = 0; waiting.length > 0; seen++) {
		const { schema, path } = waiting.pop() as Part;
		if (seen === PARTS_MAX) {
			report([], `has more than ${PARTS_MAX} parts`, 'make it smaller');
			break;
		}
		if (!isMapping(schema)) continue;
		if (path.length > 2 * DEPTH_MAX) {
			report(path, `is nested deeper than ${DEPTH_MAX} levels`);
			break;
		}
		isUnevaluated ||= 'unevaluatedProperties' in schema;
		if ('if' in schema && !('then' in schema && 'else' in schema)) halves.push([...path, 'if']);
		if (isMapping(schema.properties) && Object.hasOwn(schema.properties, '__proto__')) {
			report([...path, 'properties', '__proto__'], 'a member named __proto__ is not supported');
		}
		for (const keyword of Object.keys(schema)) {
			if (!Object.hasOwn(UNSUPPORTED, keyword)) continue;
			report([...path, keyword], `${keyword} is not supported`, UNSUPPORTED[keyword]);
		}
		if (path.length > 0 && '$id' in schema)
			report([...path, '$id'], 'a part with an $id of its own is not supported', 'leave it out');
		if (typeof schema.$ref === 'string') checkReference(root, { ref: schema.$ref, path: [...path, '$ref'] }, report);
		if (ends.isEndless(schema)) {
			report(path, 'refers to itself without an end', 'let every way back lead through a member or an item');
			break;
		}
		waiting.push(...partsOf(schema, path));
	}
	// The validator forgets what such an `if` has evaluated.
	for (const path of isUnevaluated ? halves : []) {
		report(path, 'if beside unevaluatedProperties needs then and else', 'write both, true where nothing is asked');
	}
	return faults;
}

type Report = (path: FieldPath, message: string, hint?: string | null) => void;

function checkReference(root: unknown, { ref, path }: { ref: string; path: FieldPath }, report: Report): void {
	if (!ref.startsWith('#')) {
		report(
			path,
			`${JSON.stringify(ref.slice(0, 100))} is another document, and nothing is fetched`,
			'copy it under $defs',
		);
	} else if (ref.startsWith('#/') && targetOf(root, ref) === undefined) {
		report(path, `${JSON.stringify(ref.slice(0, 100))} does not exist`);
	}
}

function partsOf(schema: Readonly<Record<string, unknown>>, path: FieldPath): Part[] {
	const parts: Part[] = [];
	const add = (keyword: string, key: string | number | null, part: unknown) => {
		const here = key === null ? [...path, keyword] : [...path, keyword, key];
		parts.push({ schema: part, path: here, inPlace: IN_PLACE.has(keyword) });
	};
	for (const keyword of BY_NAME) {
		const held = schema[keyword];
		if (isMapping(held)) for (const [name, part] of Object.entries(held)) add(keyword, name, part);
	}
	for (const keyword of LISTED) {
		const held = schema[keyword];
		if (Array.isArray(held)) for (const [index, part] of held.entries()) add(keyword, index, part);
	}
	for (const keyword of SINGLE) if (keyword in schema) add(keyword, null, schema[keyword]);
	return parts;
}

/** Finds parts from which judging a value could lead back to judging the same value by the same part. */
class EndSeeker {
	readonly #root: unknown;
	readonly #settled = new Set<unknown>();

	constructor(root: unknown) {
		this.#root = root;
	}

	isEndless(schema: unknown, within: ReadonlySet<unknown> = new Set()): boolean {
		if (!isMapping(schema) || this.#settled.has(schema)) return false;
		if (within.has(schema)) return true;
		const inside = new Set([...within, schema]);
		const target = typeof schema.$ref === 'string' ? targetOf(this.#root, schema.$ref) : null;
		const endless =
			this.isEndless(target, inside) ||
			partsOf(schema, []).some(({ schema: part, inPlace }) => inPlace && this.isEndless(part, inside));
		if (!endless) this.#settled.add(schema);
		return endless;
	}
}
