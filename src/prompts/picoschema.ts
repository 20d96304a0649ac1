import { isMapping } from '../contracts/schema-node.ts';
import type { FieldPath } from '../contracts/yaml-document.ts';

export type JsonSchema = Readonly<Record<string, unknown>>;
export type ReportSchemaProblem = (path: FieldPath, message: string, expected: string) => void;

const SCALARS = ['any', 'boolean', 'integer', 'null', 'number', 'string'];
const EXPECTED_TYPE = `one of ${SCALARS.join(', ')}`;
const WILDCARD = '(*)';

/**
 * `input.schema` as JSON Schema. Takes JSON Schema as it is and translates Picoschema (google.github.io/dotprompt,
 * "Picoschema"). The `dotprompt` package does the same, but asynchronously and without saying where a mistake stands;
 * a test holds the two equal.
 */
export function inputJsonSchema(schema: unknown, report: ReportSchemaProblem): JsonSchema | null {
	if (!isMapping(schema)) {
		report([], 'is not a schema', 'a mapping of variable names to types');
		return null;
	}
	if (schema.type === 'object' || isMapping(schema.properties)) return { ...schema, type: 'object' };
	if (typeof schema.type === 'string' && ['array', ...SCALARS].includes(schema.type)) {
		report(['type'], 'is not the type of a mapping of variables', 'object');
		return null;
	}
	return objectSchema(schema, [], report);
}

function objectSchema(
	fields: Readonly<Record<string, unknown>>,
	path: FieldPath,
	report: ReportSchemaProblem,
): JsonSchema {
	const properties: Record<string, unknown> = {};
	const required: string[] = [];
	let additionalProperties: unknown = false;
	for (const [key, value] of Object.entries(fields)) {
		const here = [...path, key];
		if (key === WILDCARD) {
			additionalProperties = typeSchema(value, here, report);
			continue;
		}
		const [, name = '', optional, kind, description] = /^([^(?]+)(\?)?(?:\(([^,)]*)(?:, *(.*))?\))?$/s.exec(key) ?? [];
		if (name === '') {
			report(here, 'is not the name of a field', 'a name such as product, product? or tags(array, what for)');
			continue;
		}
		if (!optional) required.push(name);
		const field = fieldSchema({ kind, value, optional: optional !== undefined }, here, report);
		properties[name] = description === undefined ? field : { ...field, description };
	}
	return { type: 'object', properties, ...(required.length > 0 ? { required } : {}), additionalProperties };
}

interface Field {
	/** What stands in the parentheses after the name. */
	readonly kind: string | undefined;
	readonly value: unknown;
	readonly optional: boolean;
}

function fieldSchema({ kind, value, optional }: Field, path: FieldPath, report: ReportSchemaProblem): JsonSchema {
	switch (kind) {
		case undefined:
			return nullable(typeSchema(value, path, report), optional);
		case 'array':
			return { type: optional ? ['array', 'null'] : 'array', items: typeSchema(value, path, report) };
		case 'object':
			return nullable(typeSchema(value, path, report), optional);
		case 'enum':
			if (!Array.isArray(value) || value.length === 0)
				report(path, 'is not a list of values', 'a list such as [low, high]');
			return { enum: Array.isArray(value) ? [...value, ...(optional && !value.includes(null) ? [null] : [])] : [] };
		default:
			report(path, `${kind} is not a kind of field`, 'array, object or enum in the parentheses');
			return {};
	}
}

function nullable(schema: JsonSchema, optional: boolean): JsonSchema {
	return optional && typeof schema.type === 'string' ? { ...schema, type: [schema.type, 'null'] } : schema;
}

function typeSchema(value: unknown, path: FieldPath, report: ReportSchemaProblem): JsonSchema {
	if (isMapping(value)) return objectSchema(value, path, report);
	if (typeof value !== 'string') {
		report(path, 'is not a type', `${EXPECTED_TYPE}, or a mapping of fields`);
		return {};
	}
	const [, type = value, description] = /^(.*?), *(.*)$/s.exec(value) ?? [];
	if (!SCALARS.includes(type)) report(path, `${type} is not a type`, EXPECTED_TYPE);
	return { ...(type === 'any' ? {} : { type }), ...(description === undefined ? {} : { description }) };
}
