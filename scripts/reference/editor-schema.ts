import { SECRET_FIELDS } from '../../src/contracts/environment.ts';
import { expectation, type SchemaNode } from '../../src/contracts/schema-node.ts';

type Plain = Record<string, unknown>;

const REFERENCE = {
	type: 'object',
	description: 'Taken from the environment when the project is loaded.',
	properties: {
		env: { type: 'string', pattern: '^[A-Za-z_][A-Za-z0-9_]*$', description: 'Name of the variable.' },
		default: { type: ['string', 'number', 'boolean', 'null'], description: 'What applies when it is unset or empty.' },
	},
	required: ['env'],
	additionalProperties: false,
};
const SECRET = {
	description: 'A secret: from the environment or from a file, never written here.',
	oneOf: [
		{ $ref: '#/$defs/reference' },
		{ type: 'object', properties: { file: { type: 'string' } }, required: ['file'], additionalProperties: false },
		{ type: 'null' },
	],
};

/** The schema as editors want it: our annotations turned into text, references allowed where the file allows them. */
export function editorSchema(root: SchemaNode, options: { references: boolean }): object {
	const schema = convert(root, options.references) as Plain;
	return options.references ? { ...schema, $defs: { reference: REFERENCE, secret: SECRET } } : schema;
}

function convert(node: SchemaNode, references: boolean): unknown {
	const plain: Plain = {};
	for (const [key, value] of Object.entries({ ...node, ...requiredOf(node) })) {
		if (key.startsWith('x-') || key === 'description' || (key === 'default' && isEmpty(value))) continue;
		plain[key] = convertMember(key, value, references);
	}
	const description = describe(node);
	if (!references || !isScalar(node)) return { ...description, ...plain };
	const { default: standard, examples, ...bare } = plain;
	const around = { ...(standard === undefined ? {} : { default: standard }), ...(examples ? { examples } : {}) };
	return { ...description, ...around, anyOf: [bare, { $ref: '#/$defs/reference' }] };
}

/** What a preset says need not be in the file. */
function requiredOf({ required, properties }: SchemaNode): Pick<SchemaNode, 'required'> {
	if (!required) return {};
	return { required: required.filter((key) => properties?.[key]?.['x-preset'] !== true) };
}

function convertMember(key: string, value: unknown, references: boolean): unknown {
	if (key === 'properties') {
		const properties = Object.entries(value as Record<string, SchemaNode>);
		return Object.fromEntries(
			properties.map(([name, child]) => {
				if (SECRET_FIELDS.has(name)) return [name, { ...describe(child), $ref: '#/$defs/secret' }];
				return [name, convert(child, references)];
			}),
		);
	}
	if (key === 'propertyNames') return convert(value as SchemaNode, false);
	if (key === 'oneOf' || key === 'anyOf') return (value as SchemaNode[]).map((option) => convert(option, references));
	if ((key === 'items' || key === 'additionalProperties') && typeof value === 'object') {
		return convert(value as SchemaNode, references);
	}
	return value;
}

function describe(node: SchemaNode): Plain {
	const unit = node['x-unit'] ? `In ${node['x-unit']}.` : '';
	const standard = node['x-default'] ? `Default: ${node['x-default']}.` : '';
	const expected = node['x-expected'] ? `Expected: ${expectation(node)}.` : '';
	const text = [node.description, unit, standard, expected].filter(Boolean).join(' ');
	return text ? { description: text } : {};
}

/** A plain value that a reference may stand for; the word that chooses a variant stays readable for editors. */
function isScalar(node: SchemaNode): boolean {
	return ['string', 'integer', 'number', 'boolean'].includes(node.type ?? '') && node.const === undefined;
}

function isEmpty(value: unknown): boolean {
	return typeof value === 'object' && value !== null && Object.keys(value).length === 0;
}
