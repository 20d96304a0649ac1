import type { Place } from '../base/json-schema/compile-schema.ts';
import { pointerOf } from '../base/json-schema/run.ts';
import { isMapping } from '../base/mapping.ts';
import type { JsonPath } from '../base/partial-json.ts';
import type { SchemaReading } from '../contracts/release.ts';
import type { PartCheck } from '../spec/guard.ts';
import { compiledSchema, describeComplaints, describeTrouble } from './output-schema.ts';

type Schemas = ReturnType<typeof compiledSchema>;

/**
 * Checks values of an answer that is still being made, each by the sub-schemas that it must satisfy whatever the rest will
 * be: those under properties, items and their like, through references and `allOf`. What depends on more is left to the
 * check of the whole.
 */
export function createPartCheck(schema: Readonly<Record<string, unknown>>, reading: SchemaReading): PartCheck {
	const schemas = compiledSchema(schema, reading);
	return (path, value) => {
		for (const place of placesOf(schemas, path)) {
			const reason = reasonAgainst(schemas, { value, place, path });
			if (reason !== null) return reason;
		}
		return null;
	};
}

function reasonAgainst(schemas: Schemas, { value, place, path }: { value: unknown; place: Place; path: JsonPath }) {
	try {
		const complaints = schemas.complaints(value, place);
		return complaints && describeComplaints(complaints, pointerOf(path));
	} catch (error) {
		return describeTrouble(error);
	}
}

function placesOf(schemas: Schemas, path: JsonPath): readonly Place[] {
	return path.reduce<readonly Place[]>(
		(places, key) =>
			together(
				schemas,
				places.flatMap((place) => below(schemas, place, key)),
			),
		together(schemas, [schemas.root]),
	);
}

/** These, and all that judges the same value with them. */
function together(schemas: Schemas, places: readonly Place[]): Place[] {
	const all = [...places];
	for (let at = 0; at < all.length; at++) {
		const place = all[at] as Place;
		const { node } = place;
		if (!isMapping(node)) continue;
		const found: Place[] = [];
		if (typeof node.$ref === 'string') found.push(schemas.follow(node.$ref, place));
		if (Array.isArray(node.allOf)) found.push(...node.allOf.map((one) => schemas.below(one, place)));
		all.push(...found.filter((one) => !all.some((other) => other.node === one.node)));
	}
	return all;
}

function below(schemas: Schemas, place: Place, key: string | number): Place[] {
	const { node } = place;
	if (!isMapping(node)) return [];
	if (typeof key === 'number') {
		const item = Array.isArray(node.prefixItems) && key < node.prefixItems.length ? node.prefixItems[key] : node.items;
		return item === undefined ? [] : [schemas.below(item, place)];
	}
	const patterns = Object.entries(isMapping(node.patternProperties) ? node.patternProperties : {});
	const found = patterns.flatMap(([pattern, one]) => (new RegExp(pattern, 'u').test(key) ? [one] : []));
	if (isMapping(node.properties) && Object.hasOwn(node.properties, key)) found.push(node.properties[key]);
	else if (found.length === 0 && 'additionalProperties' in node) found.push(node.additionalProperties);
	return found.map((one) => schemas.below(one, place));
}
