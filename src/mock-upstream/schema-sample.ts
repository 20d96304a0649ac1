import { isMapping, memberOf } from '../contracts/schema-node.ts';

/** Schemas may refer to themselves: deeper than this a sample ends. */
const DEPTH_MAX = 12;

/** A value that fits a JSON Schema, always the same for the same one: what a model would be constrained to. */
export function sampleOf(schema: unknown, root: unknown = schema, depth = 0): unknown {
	if (!isMapping(schema) || depth > DEPTH_MAX) return null;
	if (typeof schema.$ref === 'string') return sampleOf(resolve(schema.$ref, root), root, depth + 1);
	if (schema.const !== undefined) return schema.const;
	if (schema.default !== undefined) return schema.default;
	if (Array.isArray(schema.enum) && schema.enum.length > 0) return schema.enum[0];
	for (const word of ['anyOf', 'oneOf'] as const) {
		const options = schema[word];
		if (Array.isArray(options) && options.length > 0) return sampleOf(plainest(options), root, depth + 1);
	}
	if (Array.isArray(schema.allOf)) return sampleOf(merged(schema), root, depth + 1);
	switch (typeOf(schema)) {
		case 'object':
			return objectOf(schema, root, depth);
		case 'array': {
			const least = numberOf(schema.minItems, 1);
			return Array.from({ length: Math.min(least, 100) }, () => sampleOf(schema.items, root, depth + 1));
		}
		case 'integer':
			return Math.ceil(withinBounds(schema));
		case 'number':
			return withinBounds(schema);
		case 'boolean':
			return true;
		case 'null':
			return null;
		default:
			return textFor(schema);
	}
}

function objectOf(schema: Readonly<Record<string, unknown>>, root: unknown, depth: number): unknown {
	const properties = isMapping(schema.properties) ? schema.properties : {};
	const needed = new Set(Array.isArray(schema.required) ? schema.required : []);
	// What may be left out is left out once it gets deep: a schema that contains itself must end.
	const names = Object.keys(properties).filter((name) => needed.has(name) || depth < 3);
	return Object.fromEntries(names.map((name) => [name, sampleOf(properties[name], root, depth + 1)]));
}

/** Gemini writes types in capitals; a list of types means any of them. */
function typeOf({ type, properties, items }: Readonly<Record<string, unknown>>): string {
	const one: unknown = Array.isArray(type) ? (type.find((name) => name !== 'null') ?? 'null') : type;
	if (typeof one === 'string') return one.toLowerCase();
	if (properties !== undefined) return 'object';
	return items === undefined ? 'string' : 'array';
}

/** The option that ends soonest: a scalar before a mapping, anything before a reference. */
function plainest(options: readonly unknown[]): unknown {
	const weight = (option: unknown) => {
		if (!isMapping(option)) return 3;
		if (option.$ref !== undefined) return 2;
		return option.type === 'null' ? 1 : 0;
	};
	return [...options].sort((a, b) => weight(a) - weight(b))[0];
}

function merged(schema: Readonly<Record<string, unknown>>): unknown {
	const { allOf, ...own } = schema;
	const parts = [own, ...(Array.isArray(allOf) ? allOf : [])].filter(isMapping);
	return {
		...Object.assign({}, ...parts),
		properties: Object.assign({}, ...parts.map((part) => part.properties)),
		required: parts.flatMap((part) => (Array.isArray(part.required) ? part.required : [])),
	};
}

function withinBounds({ minimum, exclusiveMinimum, maximum }: Readonly<Record<string, unknown>>): number {
	const least = Math.max(numberOf(minimum, Number.NEGATIVE_INFINITY), numberOf(exclusiveMinimum, -1) + 1);
	return Math.min(Math.max(least, 0), numberOf(maximum, Number.POSITIVE_INFINITY));
}

const FORMATS: Readonly<Record<string, string>> = {
	date: '2026-01-31',
	'date-time': '2026-01-31T12:00:00Z',
	time: '12:00:00Z',
	email: 'sailor@example.com',
	uri: 'https://example.com/',
	uuid: '00000000-0000-4000-8000-000000000000',
	ipv4: '192.0.2.1',
};

function textFor({ format, minLength, maxLength }: Readonly<Record<string, unknown>>): string {
	const words = typeof format === 'string' ? (FORMATS[format] ?? 'load line') : 'load line';
	return words.padEnd(Math.min(numberOf(minLength, 0), 10_000), '.').slice(0, numberOf(maxLength, 10_000));
}

function numberOf(value: unknown, otherwise: number): number {
	return typeof value === 'number' ? value : otherwise;
}

function resolve(reference: string, root: unknown): unknown {
	if (!reference.startsWith('#')) return null;
	return reference
		.split('/')
		.slice(1)
		.reduce<unknown>((at, name) => memberOf(at, name.replaceAll('~1', '/').replaceAll('~0', '~')), root);
}
