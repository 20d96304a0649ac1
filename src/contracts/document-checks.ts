import { readInstant } from '../base/instant.ts';
import type { Problem } from '../spec/problem.ts';
import type { FieldType } from '../spec/retrieval.ts';
import { dangling } from './dangling.ts';
import { BUILT_IN_FIELDS } from './document-rules.ts';
import { usdToMicros } from './money.ts';
import { patternFault } from './safe-pattern.ts';
import { isMapping, valueAt } from './schema-node.ts';
import { problemAt } from './validation.ts';
import type { FieldPath, YamlDocument } from './yaml-document.ts';

/** What a schema cannot say about the rules for a collection's documents and about its ingestion. */
export function documentProblems(document: YamlDocument, path: FieldPath, raw: unknown): Problem[] {
	const sources = valueAt(raw, ['sources']);
	const places: FieldPath[] = [
		['documents'],
		...(isMapping(sources) ? Object.keys(sources).map((name) => ['sources', name, 'documents']) : []),
	];
	const problems: Problem[] = [];
	const types = new Map<string, { type: unknown; at: string }>();
	for (const place of places) {
		const rules = valueAt(raw, place);
		if (!isMapping(rules)) continue;
		problems.push(...ruleProblems(document, [...path, ...place], rules));
		const fields = isMapping(rules.fields) ? rules.fields : {};
		for (const [name, field] of Object.entries(fields)) {
			const type = valueAt(field, ['type']);
			const known = types.get(name);
			if (!known) types.set(name, { type, at: place.join('.') });
			else if (known.type !== type) {
				const message = `${name} is ${String(type)} here and ${String(known.type)} in ${known.at}, but one column holds both`;
				problems.push(problemAt(document, [...path, ...place, 'fields', name, 'type'], { message }));
			}
		}
	}
	const declared = new Map(Object.entries<unknown>(BUILT_IN_FIELDS));
	for (const [name, { type }] of types) declared.set(name, type);
	return [...problems, ...useProblems({ document, path, raw }, declared), ...costProblems(document, path, raw)];
}

/** Where a collection names a field, and of which type that must be; null: of any. */
const FIELD_USES: readonly { readonly at: FieldPath; readonly type: FieldType | null }[] = [
	{ at: ['access', 'tenant_field'], type: 'text' },
	{ at: ['access', 'acl_field'], type: 'labels' },
	{ at: ['partition', 'by'], type: null },
];

/** A field that no document can have would let nobody find anything, or keep nobody apart. */
function useProblems(
	{ document, path, raw }: { document: YamlDocument; path: FieldPath; raw: unknown },
	declared: ReadonlyMap<string, unknown>,
): Problem[] {
	return FIELD_USES.flatMap(({ at, type }) => {
		const name = valueAt(raw, at);
		const isTenant = at[0] === 'partition' && name === 'tenant';
		if (typeof name !== 'string' || isTenant) return [];
		const fitting = [...declared].filter(([, one]) => type === null || one === type).map(([field]) => field);
		if (fitting.includes(name)) return [];
		const { hint, ...what } = dangling(type === null ? 'field' : `field of type ${type}`, name, fitting);
		const advice = declared.has(name)
			? `${name} is ${String(declared.get(name))}`
			: (hint ?? 'declare it under documents.fields of the collection or of a source');
		return [problemAt(document, [...path, ...at], { ...what, hint: advice })];
	});
}

function costProblems(document: YamlDocument, path: FieldPath, raw: unknown): Problem[] {
	const place = ['ingestion', 'cost_usd_max'];
	const cost = valueAt(raw, place);
	if (typeof cost !== 'number' || cost < 0 || usdToMicros(cost) !== null) return [];
	return [problemAt(document, [...path, ...place], { message: `${cost} is finer than a micro-dollar` })];
}

function ruleProblems(document: YamlDocument, path: FieldPath, rules: Readonly<Record<string, unknown>>): Problem[] {
	const problems: Problem[] = [];
	const report = (at: FieldPath, what: { message: string; hint?: string | null }) =>
		problems.push(problemAt(document, [...path, ...at], what));
	for (const kind of ['title', 'text']) {
		const [least, most] = [rules[`${kind}_chars_min`], rules[`${kind}_chars_max`]];
		if (typeof least === 'number' && typeof most === 'number' && least > most)
			report([`${kind}_chars_min`], { message: `${least} is above ${kind}_chars_max (${most})` });
	}
	const fields = isMapping(rules.fields) ? rules.fields : {};
	for (const [name, field] of Object.entries(fields)) {
		if (!isMapping(field)) continue;
		if (Object.hasOwn(BUILT_IN_FIELDS, name) && field.type !== BUILT_IN_FIELDS[name]) {
			report(['fields', name, 'type'], { message: `${name} is there already, and is ${BUILT_IN_FIELDS[name]}` });
		}
		for (const [at, message] of fieldFaults(field)) report(['fields', name, ...at], { message });
	}
	const fresh = valueAt(rules, ['freshness', 'field']);
	if (typeof fresh === 'string' && fresh !== 'updated_at' && valueAt(fields, [fresh, 'type']) !== 'time') {
		const times = Object.keys(fields).filter((name) => valueAt(fields, [name, 'type']) === 'time');
		report(['freshness', 'field'], dangling('field of type time', fresh, [...times, 'updated_at']));
	}
	return problems;
}

function fieldFaults(field: Readonly<Record<string, unknown>>): [FieldPath, string][] {
	const faults: [FieldPath, string][] = [];
	const { type, min, max } = field;
	for (const [key, value] of Object.entries({ min, max })) {
		if (type !== 'time' || typeof value !== 'string' || readInstant(value) !== null) continue;
		faults.push([[key], 'not an instant such as 2024-01-31 or 2024-01-31T12:00Z']);
	}
	const [least, most] = [min, max].map((value) => (type === 'time' ? readInstant(value) : value));
	if (typeof least === 'number' && typeof most === 'number' && least > most) faults.push([['min'], 'it is above max']);
	const pattern = typeof field.pattern === 'string' ? patternFault(field.pattern) : null;
	if (pattern) faults.push([['pattern'], pattern]);
	return faults;
}
