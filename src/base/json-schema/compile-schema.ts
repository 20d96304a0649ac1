import { isMapping } from '../mapping.ts';
import { ASSERTIONS, expressionOf } from './assertions.ts';
import { type Located, type Resource, Resources, SchemaError } from './resources.ts';
import { type Judge, Run, type SchemaComplaint, type Scope, Seen } from './run.ts';

export interface SchemaOptions {
	/** Where the schema lies, absolute; its `$id` goes before. */
	readonly uri: string;
	/** Other schemas by their addresses. */
	readonly documents: ReadonlyMap<string, unknown>;
	/** Checks of `format`, by name. */
	readonly formats: ReadonlyMap<string, (value: unknown) => boolean>;
	/** Values are held to their format; else only where the schema's dialect says so. */
	readonly assertsFormats: boolean;
}

/** A schema and the resources through which it was reached. */
export interface Place extends Located {
	readonly scope: Scope | null;
}

/**
 * JSON Schema of draft 2020-12, compiled into closures: the whole draft with every kind of reference and dynamic scope, held to
 * each required test of the JSON-Schema-Test-Suite. Nothing is fetched.
 */
export class CompiledSchema {
	readonly root: Place;
	readonly resources: Resources;
	readonly #judges = new Map<unknown, Map<Resource, Judge>>();
	readonly #options: SchemaOptions;

	/** Throws SchemaError for a schema that cannot be compiled. */
	constructor(schema: unknown, options: SchemaOptions) {
		this.#options = options;
		this.resources = new Resources(options.documents);
		this.root = { node: schema, resource: this.resources.add(schema, options.uri), scope: null };
		this.#judgeOf(this.root);
	}

	/**
	 * Why a value does not satisfy the schema, or one within it; null when it does. Throws RangeError for a value that is nested
	 * too deeply, or for which a schema's choices multiply.
	 */
	complaints(value: unknown, place: Place = this.root): readonly SchemaComplaint[] | null {
		const run = new Run(place.scope);
		return this.#judgeOf(place)(value, run, null) ? null : run.complaints;
	}

	/** What a reference at a place points at. */
	follow(ref: string, { resource, scope }: Place): Place {
		return { ...this.resources.resolve(ref, resource), scope: { resource, outer: scope } };
	}

	/** A schema that one at a place holds. */
	below(node: unknown, { resource, scope }: Place): Place {
		return { ...this.resources.below(node, resource), scope: { resource, outer: scope } };
	}

	#judgeOf(at: Located): Judge {
		const known = this.#judges.get(at.node)?.get(at.resource);
		if (known !== undefined) return known;
		let made: Judge | null = null;
		// Reached again while it is compiled, by a schema that refers to itself.
		const later: Judge = (value, run, seen) => (made as Judge)(value, run, seen);
		const all = this.#judges.get(at.node) ?? new Map<Resource, Judge>();
		this.#judges.set(at.node, all.set(at.resource, later));
		made = this.#compile(at);
		all.set(at.resource, made);
		return made;
	}

	#compile({ node, resource }: Located): Judge {
		if (node === true) return () => true;
		if (node === false) return (_value, run) => run.complain('boolean schema is false');
		if (!isMapping(node)) throw new SchemaError('a schema is neither an object nor true or false');
		const schema = knownKeywords(node, resource);
		const asks = 'unevaluatedProperties' in schema || 'unevaluatedItems' in schema;
		const judges = this.#parts(schema, resource);
		return (value, run, seen) => {
			run.step();
			const outer = run.scope;
			if (outer?.resource !== resource) run.scope = { resource, outer };
			const own = asks ? new Seen() : seen;
			const isGood = judges.every((judge) => judge(value, run, own));
			run.scope = outer;
			if (asks && isGood) seen?.take(own as Seen);
			return isGood;
		};
	}

	/** In this order: what is quick, what looks inside, and last what asks for all that the others have looked at. */
	#parts(schema: Readonly<Record<string, unknown>>, resource: Resource): Judge[] {
		const below = (node: unknown) => this.#judgeOf(this.resources.below(node, resource));
		const judges: Judge[] = [];
		for (const [keyword, operand] of Object.entries(schema)) {
			const assertion = Object.hasOwn(ASSERTIONS, keyword) ? ASSERTIONS[keyword] : undefined;
			if (assertion) judges.push(assertion(operand));
		}
		if (typeof schema.format === 'string') judges.push(...this.#format(schema.format, resource));
		judges.push(...membersJudges(schema, below), ...itemsJudges(schema, below));
		if (typeof schema.$ref === 'string') judges.push(this.#judgeOf(this.resources.resolve(schema.$ref, resource)));
		if (typeof schema.$dynamicRef === 'string') judges.push(this.#dynamic(schema.$dynamicRef, resource));
		judges.push(...choiceJudges(schema, below), ...unevaluatedJudges(schema, below));
		return judges;
	}

	#format(name: string, resource: Resource): Judge[] {
		if (!this.#options.assertsFormats && !resource.assertsFormats) return [];
		const holds = this.#options.formats.get(name);
		if (holds === undefined) throw new SchemaError(`the format ${JSON.stringify(name.slice(0, 100))} is not known`);
		return [(value, run) => holds(value) || run.complain(`must match format "${name}"`)];
	}

	/** A name that also stands in resources further out means the outermost of them. */
	#dynamic(ref: string, resource: Resource): Judge {
		const initial = this.resources.resolve(ref, resource);
		const judge = this.#judgeOf(initial);
		const name = /#([^/].*)$/.exec(ref)?.[1] ?? '';
		if (initial.resource.dynamicAnchors.get(name) !== initial.node) return judge;
		return (value, run, seen) => {
			let found = initial;
			for (let scope = run.scope; scope !== null; scope = scope.outer) {
				const node = scope.resource.dynamicAnchors.get(name);
				if (node !== undefined) found = { node, resource: scope.resource };
			}
			return (found === initial ? judge : this.#judgeOf(found))(value, run, seen);
		};
	}
}

type Compile = (node: unknown) => Judge;
type Schema = Readonly<Record<string, unknown>>;

function knownKeywords(schema: Schema, { keywords }: Resource): Schema {
	if (keywords === null) return schema;
	return Object.fromEntries(Object.entries(schema).filter(([keyword]) => keywords.has(keyword)));
}

function membersJudges(schema: Schema, below: Compile): Judge[] {
	const { properties, patternProperties, additionalProperties, propertyNames, dependentSchemas } = schema;
	const judges: Judge[] = [];
	const named = compiledBy(properties, below);
	const patterns = [...compiledBy(patternProperties, below)].map(
		([pattern, judge]) => [expressionOf(pattern), judge] as const,
	);
	const others = additionalProperties === undefined ? null : below(additionalProperties);
	if (named.size + patterns.length > 0 || others !== null) {
		judges.push((value, run, seen) => {
			if (!isMapping(value)) return true;
			for (const name of Object.keys(value)) {
				let isNamed = false;
				let isGood = true;
				run.enter(name);
				const own = named.get(name);
				if (own !== undefined) {
					isNamed = true;
					isGood = own(value[name], run, null);
				}
				for (const [pattern, judge] of patterns) {
					if (!pattern.test(name)) continue;
					isNamed = true;
					isGood &&= judge(value[name], run, null);
				}
				const isOther = !isNamed && others !== null;
				if (isOther && additionalProperties !== false) isGood = others(value[name], run, null);
				run.leave();
				if (isOther && additionalProperties === false) return run.complain('must NOT have additional properties');
				if (!isGood) return false;
				if (!isNamed && others === null) continue;
				seen?.names.add(name);
			}
			return true;
		});
	}
	if (propertyNames !== undefined) judges.push(namesJudge(below(propertyNames)));
	for (const [name, judge] of compiledBy(dependentSchemas, below)) {
		judges.push((value, run, seen) => !isMapping(value) || !Object.hasOwn(value, name) || judge(value, run, seen));
	}
	return judges;
}

function namesJudge(judge: Judge): Judge {
	return (value, run) => {
		if (!isMapping(value) || Object.keys(value).every((name) => judge(name, run, null))) return true;
		return run.complain('property name must be valid');
	};
}

function itemsJudges(schema: Schema, below: Compile): Judge[] {
	const { prefixItems, items, contains } = schema;
	const judges: Judge[] = [];
	const first = (Array.isArray(prefixItems) ? prefixItems : []).map(below);
	const rest = items === undefined ? null : below(items);
	if (first.length > 0 || rest !== null) {
		judges.push((value, run, seen) => {
			if (!Array.isArray(value)) return true;
			for (const [at, item] of value.entries()) {
				const judge = first[at] ?? rest;
				if (judge === null) break;
				if (items === false && at >= first.length) return run.complain(`must NOT have more than ${first.length} items`);
				run.enter(at);
				if (!judge(item, run, null)) return leave(run);
				run.leave();
			}
			seen?.upTo(rest === null ? first.length : value.length);
			return true;
		});
	}
	if (contains !== undefined) judges.push(containsJudge(schema, below(contains)));
	return judges;
}

function containsJudge({ minContains = 1, maxContains = Infinity }: Schema, judge: Judge): Judge {
	const [min, max] = [Number(minContains), Number(maxContains)];
	return (value, run, seen) => {
		if (!Array.isArray(value)) return true;
		let found = 0;
		for (const [at, item] of value.entries()) {
			if (!isAccepted(judge, item, { run, seen: null })) continue;
			found++;
			seen?.item(at);
		}
		if (found >= min && found <= max) return true;
		const most = max === Infinity ? '' : ` and no more than ${max}`;
		return run.complain(`must contain at least ${min}${most} valid item(s)`);
	};
}

function choiceJudges(schema: Schema, below: Compile): Judge[] {
	const { allOf, anyOf, oneOf, not, if: condition } = schema;
	const judges: Judge[] = Array.isArray(allOf) ? allOf.map(below) : [];
	if (Array.isArray(anyOf)) judges.push(someJudge(anyOf.map(below), { isOne: false }));
	if (Array.isArray(oneOf)) judges.push(someJudge(oneOf.map(below), { isOne: true }));
	if (not !== undefined) {
		const judge = below(not);
		judges.push((value, run) => !isAccepted(judge, value, { run, seen: null }) || run.complain('must NOT be valid'));
	}
	if (condition !== undefined) judges.push(conditionJudge(schema, below));
	return judges;
}

function someJudge(judges: readonly Judge[], { isOne }: { readonly isOne: boolean }): Judge {
	return (value, run, seen) => {
		const before = run.complaints.length;
		let fitting = 0;
		for (const judge of judges) {
			const own = seen && new Seen();
			if (!judge(value, run, own)) continue;
			fitting++;
			if (own !== null) seen?.take(own);
			// Where nobody asks what was looked at, one is enough to know.
			if (isOne ? fitting > 1 : seen === null) break;
		}
		if (isOne ? fitting === 1 : fitting > 0) {
			run.forget(before);
			return true;
		}
		if (fitting > 1) run.forget(before);
		return run.complain(isOne ? 'must match exactly one schema in oneOf' : 'must match a schema in anyOf');
	};
}

function conditionJudge(
	{ if: condition, then: positive = true, else: negative = true }: Schema,
	below: Compile,
): Judge {
	const [asked, holds, fails] = [below(condition), below(positive), below(negative)];
	return (value, run, seen) => {
		const isMet = isAccepted(asked, value, { run, seen });
		return (isMet ? holds : fails)(value, run, seen) || run.complain(`must match "${isMet ? 'then' : 'else'}" schema`);
	};
}

function unevaluatedJudges({ unevaluatedItems, unevaluatedProperties }: Schema, below: Compile): Judge[] {
	const judges: Judge[] = [];
	if (unevaluatedItems !== undefined) {
		const judge = below(unevaluatedItems);
		judges.push((value, run, seen) => {
			if (!Array.isArray(value)) return true;
			const fits = (item: unknown, at: number) => {
				if (seen?.hasItem(at)) return true;
				run.enter(at);
				const isGood = judge(item, run, null);
				run.leave();
				return isGood;
			};
			if (!value.every(fits)) return run.complain('must NOT have unevaluated items');
			seen?.upTo(value.length);
			return true;
		});
	}
	if (unevaluatedProperties !== undefined) {
		const judge = below(unevaluatedProperties);
		judges.push((value, run, seen) => {
			if (!isMapping(value)) return true;
			for (const name of Object.keys(value)) {
				if (seen?.names.has(name)) continue;
				run.enter(name);
				const isGood = judge(value[name], run, null);
				run.leave();
				if (!isGood) return run.complain('must NOT have unevaluated properties');
				seen?.names.add(name);
			}
			return true;
		});
	}
	return judges;
}

/** Whether a value passes, where that it does not is no fault. */
function isAccepted(judge: Judge, value: unknown, { run, seen }: { run: Run; seen: Seen | null }): boolean {
	const before = run.complaints.length;
	const own = seen && new Seen();
	const isGood = judge(value, run, own);
	run.forget(before);
	if (isGood && own !== null) seen?.take(own);
	return isGood;
}

function compiledBy(named: unknown, below: Compile): Map<string, Judge> {
	return new Map(Object.entries(isMapping(named) ? named : {}).map(([name, node]) => [name, below(node)]));
}

function leave(run: Run): false {
	run.leave();
	return false;
}
