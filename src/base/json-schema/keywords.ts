import { isMapping } from '../mapping.ts';

/** One schema within another. */
export interface SubSchema {
	readonly schema: unknown;
	/** From the schema that holds it, e.g. `['properties', 'name']`. */
	readonly path: readonly (string | number)[];
	/** It judges the same value as the schema that holds it. */
	readonly inPlace: boolean;
}

/** How a keyword holds schemas: one, a list of them, or some by name. */
type Holding = 'one' | 'list' | 'named';

/** Keywords that hold schemas; true where those judge the same value as their holder. */
const HOLDERS: Readonly<Record<string, readonly [Holding, boolean]>> = {
	$defs: ['named', false],
	definitions: ['named', false],
	properties: ['named', false],
	patternProperties: ['named', false],
	dependentSchemas: ['named', true],
	allOf: ['list', true],
	anyOf: ['list', true],
	oneOf: ['list', true],
	prefixItems: ['list', false],
	items: ['one', false],
	contains: ['one', false],
	additionalProperties: ['one', false],
	propertyNames: ['one', false],
	not: ['one', true],
	if: ['one', true],
	// biome-ignore lint/suspicious/noThenProperty: a keyword of JSON Schema
	then: ['one', true],
	else: ['one', true],
	unevaluatedItems: ['one', false],
	unevaluatedProperties: ['one', false],
	contentSchema: ['one', false],
};

const VOCABULARY = 'https://json-schema.org/draft/2020-12/vocab/';

/** The vocabularies of draft 2020-12, each with its keywords; those of the core apply in every dialect. */
const KEYWORDS: Readonly<Record<string, string>> = {
	core: '$schema $id $ref $anchor $dynamicRef $dynamicAnchor $vocabulary $comment $defs definitions',
	applicator:
		'prefixItems items contains additionalProperties properties patternProperties dependentSchemas propertyNames if then else allOf anyOf oneOf not',
	unevaluated: 'unevaluatedItems unevaluatedProperties',
	validation:
		'type const enum multipleOf maximum exclusiveMaximum minimum exclusiveMinimum maxLength minLength pattern maxItems minItems uniqueItems maxContains minContains maxProperties minProperties required dependentRequired',
	'meta-data': 'title description default deprecated readOnly writeOnly examples',
	'format-annotation': 'format',
	'format-assertion': 'format',
	content: 'contentEncoding contentMediaType contentSchema',
};

/** By address: what a meta-schema's `$vocabulary` names. */
export const VOCABULARIES: ReadonlyMap<string, ReadonlySet<string>> = new Map(
	Object.entries(KEYWORDS).map(([name, keywords]) => [VOCABULARY + name, new Set(keywords.split(' '))]),
);

export const FORMAT_ASSERTION = `${VOCABULARY}format-assertion`;

/** Every keyword of draft 2020-12. */
export const KEYWORD_NAMES: readonly string[] = [...new Set([...VOCABULARIES.values()].flatMap((names) => [...names]))];

/** The schemas that one holds, in no more depth than one. */
export function subSchemasOf(schema: Readonly<Record<string, unknown>>): SubSchema[] {
	const found: SubSchema[] = [];
	for (const [keyword, held] of Object.entries(schema)) {
		const [holding, inPlace] = (Object.hasOwn(HOLDERS, keyword) && HOLDERS[keyword]) || [null, false];
		if (holding === 'one') found.push({ schema: held, path: [keyword], inPlace });
		if (holding === 'list' && Array.isArray(held)) {
			for (const [at, one] of held.entries()) found.push({ schema: one, path: [keyword, at], inPlace });
		}
		if (holding === 'named' && isMapping(held)) {
			for (const [name, one] of Object.entries(held)) found.push({ schema: one, path: [keyword, name], inPlace });
		}
	}
	return found;
}
