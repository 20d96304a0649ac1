import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import formats from 'ajv-formats';
import type { JsonPath } from '../base/partial-json.ts';
import { isMapping } from '../contracts/schema-node.ts';
import { targetOf } from '../contracts/schema-reference.ts';
import type { PartCheck } from '../spec/guard.ts';
import { describeErrors } from './output-schema.ts';

/** A sub-schema and where it stands. */
interface Place {
	readonly schema: unknown;
	readonly pointer: string;
}

/**
 * Checks values of an answer that is still being made, each by the sub-schemas that it must satisfy whatever the rest will
 * be: those under properties, items and their like, through references and `allOf`. What depends on more is left to the
 * check of the whole.
 */
export function createPartCheck(schema: Readonly<Record<string, unknown>>): PartCheck {
	const ajv = new Ajv2020({ strict: false, allErrors: false, logger: false, ownProperties: true });
	formats.default(ajv);
	const id = typeof schema.$id === 'string' ? schema.$id : 'output';
	ajv.addSchema(schema, id);
	const compiled = new Map<string, ValidateFunction | null>();
	const validatorAt = (pointer: string) => {
		const known = compiled.get(pointer);
		if (known !== undefined) return known;
		const made = ajv.getSchema(pointer === '' ? id : `${id}#${pointer}`) ?? null;
		compiled.set(pointer, made);
		return made;
	};
	return (path, value) => {
		for (const { pointer } of placesOf(schema, path)) {
			const validate = validatorAt(pointer);
			if (validate !== null && !validate(value)) return describeErrors(validate.errors ?? [], pointerOf(path));
		}
		return null;
	};
}

function placesOf(root: unknown, path: JsonPath): readonly Place[] {
	return path.reduce<readonly Place[]>(
		(places, key) => places.flatMap((place) => together(root, below(place, key))),
		together(root, [{ schema: root, pointer: '' }]),
	);
}

/** These, and all that judges the same value with them. */
function together(root: unknown, places: readonly Place[]): Place[] {
	const all = [...places];
	for (let at = 0; at < all.length; at++) {
		const { schema, pointer } = all[at] as Place;
		if (!isMapping(schema)) continue;
		const found: Place[] = [];
		if (typeof schema.$ref === 'string' && schema.$ref.startsWith('#')) {
			found.push({ schema: targetOf(root, schema.$ref), pointer: schema.$ref.slice(1) });
		}
		if (Array.isArray(schema.allOf)) {
			found.push(...schema.allOf.map((one: unknown, index) => ({ schema: one, pointer: `${pointer}/allOf/${index}` })));
		}
		all.push(...found.filter((one) => one.schema !== undefined && !all.some((other) => other.pointer === one.pointer)));
	}
	return all;
}

function below({ schema, pointer }: Place, key: string | number): Place[] {
	if (!isMapping(schema)) return [];
	const at = (keyword: string, name?: string | number): Place => {
		const holder = schema[keyword];
		const member = name === undefined ? holder : (holder as Readonly<Record<string, unknown>>)[name];
		return { schema: member, pointer: `${pointer}/${keyword}${name === undefined ? '' : `/${encoded(name)}`}` };
	};
	if (typeof key === 'number') {
		const { prefixItems } = schema;
		if (Array.isArray(prefixItems) && key < prefixItems.length) return [at('prefixItems', key)];
		return 'items' in schema ? [at('items')] : [];
	}
	const patterns = Object.keys(isMapping(schema.patternProperties) ? schema.patternProperties : {});
	const places = patterns.filter((one) => new RegExp(one, 'u').test(key)).map((one) => at('patternProperties', one));
	if (isMapping(schema.properties) && Object.hasOwn(schema.properties, key)) places.push(at('properties', key));
	else if (places.length === 0 && 'additionalProperties' in schema) places.push(at('additionalProperties'));
	return places;
}

function encoded(name: string | number): string {
	return encodeURIComponent(String(name).replaceAll('~', '~0').replaceAll('/', '~1'));
}

function pointerOf(path: JsonPath): string {
	return path.map((key) => `/${String(key).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');
}
