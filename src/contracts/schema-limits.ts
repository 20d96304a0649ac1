import type { SchemaOptions } from '../base/json-schema/compile-schema.ts';
import { KEYWORD_NAMES, subSchemasOf } from '../base/json-schema/keywords.ts';
import { type Located, Resources, SchemaError } from '../base/json-schema/resources.ts';
import { isMapping } from '../base/mapping.ts';
import { nearest } from '../base/nearest.ts';
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

/** Keywords of older drafts, which this one passes over. */
const OLDER: Readonly<Record<string, string>> = {
	id: 'write $id',
	dependencies: 'write dependentRequired or dependentSchemas',
	additionalItems: 'write prefixItems and items',
	$recursiveRef: 'write $dynamicRef',
	$recursiveAnchor: 'write $dynamicAnchor',
};

interface Part extends Located {
	readonly path: FieldPath;
}

type Report = (path: FieldPath, message: string, hint?: string | null) => void;

/** What of a valid JSON Schema is not taken: too large, endless, referring to nothing, or with keywords and formats that are none. */
export function schemaFaults(root: Readonly<Record<string, unknown>>, options: SchemaOptions): readonly SchemaFault[] {
	const faults: SchemaFault[] = [];
	const report: Report = (path, message, hint = null) => faults.push({ path, message, hint });
	const resources = new Resources(options.documents);
	const top = attempt(
		() => resources.add(root, options.uri),
		(message) => report([], message),
	);
	if (top === null) return faults;
	const ends = new EndSeeker(resources);
	const waiting: Part[] = [{ node: root, resource: top, path: [] }];
	for (let seen = 0; waiting.length > 0; seen++) {
		const part = waiting.pop() as Part;
		const { node, path, resource } = part;
		if (seen === PARTS_MAX) {
			report([], `has more than ${PARTS_MAX} parts`, 'make it smaller');
			break;
		}
		if (!isMapping(node)) continue;
		if (path.length > 2 * DEPTH_MAX) {
			report(path, `is nested deeper than ${DEPTH_MAX} levels`);
			break;
		}
		checkKeywords(node, path, report);
		checkFormat(part, options, report);
		for (const keyword of REFERENCES) {
			const ref = node[keyword];
			if (typeof ref !== 'string') continue;
			const tell = (message: string) => report([...path, keyword], message, REFERENCE_HINT);
			attempt(() => resources.resolve(ref, resource), tell);
		}
		if (ends.isEndless(part)) {
			report(path, 'refers to itself without an end', 'let every way back lead through a member or an item');
			break;
		}
		for (const { schema, path: below } of subSchemasOf(node)) {
			waiting.push({ ...resources.below(schema, resource), path: [...path, ...below] });
		}
	}
	return faults;
}

const REFERENCES = ['$ref', '$dynamicRef'];
const REFERENCE_HINT = 'a reference leads to a part of this file or to another file of schemas/';

/** Of what makes a schema unusable, each where it stands; null then. */
function attempt<T>(work: () => T, report: (message: string) => void): T | null {
	try {
		return work();
	} catch (error) {
		if (!(error instanceof SchemaError)) throw error;
		report(error.message);
		return null;
	}
}

/** A keyword that is none asserts nothing: a slip of the pen would open the contract in silence. */
function checkKeywords(node: Readonly<Record<string, unknown>>, path: FieldPath, report: Report): void {
	for (const keyword of Object.keys(node)) {
		if (KEYWORD_NAMES.includes(keyword) || keyword.startsWith('x-')) continue;
		const close = nearest(keyword, KEYWORD_NAMES);
		const older = Object.hasOwn(OLDER, keyword) ? OLDER[keyword] : undefined;
		const hint = older ?? (close === null ? 'begin the names of your own keywords with x-' : `did you mean ${close}?`);
		report([...path, keyword], `${keyword.slice(0, 100)} is not a keyword of JSON Schema 2020-12`, hint);
	}
}

function checkFormat({ node, path, resource }: Part, { formats, assertsFormats }: SchemaOptions, report: Report): void {
	const format = (node as Readonly<Record<string, unknown>>).format;
	if (typeof format !== 'string' || formats.has(format) || !(assertsFormats || resource.assertsFormats)) return;
	const close = nearest(format, [...formats.keys()]);
	const hint = close === null ? 'or write guards.output_formats: annotation' : `did you mean ${close}?`;
	report([...path, 'format'], `the format ${JSON.stringify(format.slice(0, 100))} is not known`, hint);
}

/** Finds parts from which judging a value could lead back to judging the same value by the same part. */
class EndSeeker {
	readonly #resources: Resources;
	readonly #settled = new Set<unknown>();

	constructor(resources: Resources) {
		this.#resources = resources;
	}

	isEndless({ node, resource }: Located, within: ReadonlySet<unknown> = new Set()): boolean {
		if (!isMapping(node) || this.#settled.has(node)) return false;
		if (within.has(node)) return true;
		const inside = new Set([...within, node]);
		const targets = REFERENCES.flatMap((keyword) => {
			const ref = node[keyword];
			return typeof ref === 'string'
				? (attempt(
						() => this.#resources.resolve(ref, resource),
						() => {},
					) ?? [])
				: [];
		});
		const sharing = subSchemasOf(node).flatMap(({ schema, inPlace }) =>
			inPlace ? this.#resources.below(schema, resource) : [],
		);
		const endless = [...targets, ...sharing].some((one) => this.isEndless(one, inside));
		if (!endless) this.#settled.add(node);
		return endless;
	}
}
