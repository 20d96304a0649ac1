import { isMapping } from '../contracts/schema-node.ts';
import type { JsonSchema } from './picoschema.ts';

/** What a template may know about a value before there is one. */
export type Shape =
	| { readonly kind: 'scalar' }
	/** Nothing is known: every member may exist. */
	| { readonly kind: 'any' }
	| { readonly kind: 'list'; readonly item: Shape }
	| {
			readonly kind: 'object';
			readonly members: ReadonlyMap<string, Shape>;
			/** The shape of members that are not named; null: there are none. */
			readonly others: Shape | null;
	  };

export const SCALAR: Shape = { kind: 'scalar' };
export const ANY: Shape = { kind: 'any' };

/** Template variables that every prompt has. */
const BUILT_IN: ReadonlyMap<string, Shape> = new Map<string, Shape>([
	['question', SCALAR],
	[
		'passages',
		{
			kind: 'list',
			item: {
				kind: 'object',
				members: new Map(['number', 'title', 'heading', 'text'].map((name) => [name, SCALAR])),
				others: null,
			},
		},
	],
]);

/** Names that a prompt cannot declare: built-in variables, helpers, words of the template language. */
export const RESERVED_NAMES: ReadonlySet<string> = new Set([
	...BUILT_IN.keys(),
	...['if', 'unless', 'each', 'with', 'lookup', 'log', 'else', 'this', 'true', 'false', 'null', 'undefined', 'as'],
	...['json', 'role', 'history', 'media', 'section', 'ifEquals', 'unlessEquals'],
	...['helperMissing', 'blockHelperMissing', 'constructor', '__proto__', 'prototype'],
]);

/** The built-in variables and the declared ones. */
export function rootShape(inputSchema: JsonSchema | null): Shape & { kind: 'object' } {
	const declared = inputSchema ? shapeOf(inputSchema) : null;
	const members = declared?.kind === 'object' ? declared.members : [];
	return { kind: 'object', members: new Map([...members, ...BUILT_IN]), others: null };
}

/** Null when the shape certainly has no such member. */
export function memberShape(shape: Shape, name: string): Shape | null {
	switch (shape.kind) {
		case 'any':
			return ANY;
		case 'scalar':
			return null;
		case 'list':
			if (name === 'length') return SCALAR;
			return /^\d+$/.test(name) ? shape.item : null;
		case 'object':
			return shape.members.get(name) ?? shape.others;
	}
}

/** What `{{#each}}` walks over; null when the shape certainly cannot be walked. */
export function itemShape(shape: Shape): Shape | null {
	if (shape.kind === 'scalar') return null;
	if (shape.kind === 'list') return shape.item;
	return ANY;
}

function shapeOf(schema: unknown): Shape {
	if (!isMapping(schema)) return ANY;
	const types = [schema.type].flat().filter((type) => type !== undefined && type !== 'null');
	const [type] = types;
	if (types.length !== 1) return schema.enum === undefined ? ANY : SCALAR;
	if (type === 'array') return { kind: 'list', item: shapeOf(schema.items) };
	if (type !== 'object') return SCALAR;
	const { properties, additionalProperties } = schema;
	if (!isMapping(properties)) return ANY;
	const others =
		isMapping(additionalProperties) || additionalProperties === true ? shapeOf(additionalProperties) : null;
	return {
		kind: 'object',
		members: new Map(Object.entries(properties).map(([name, property]) => [name, shapeOf(property)])),
		others,
	};
}
