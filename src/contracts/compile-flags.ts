import type { FlagType, FlagValue } from '../spec/flags.ts';
import type { Problem } from '../spec/problem.ts';
import { dangling } from './dangling.ts';
import { type FlagConditions, type FlagDefinition, type FlagFacts, type FlagRule, flagTypeOf } from './flag.ts';
import { flagsJsonSchema, flagsSchema, type RawFlag } from './flags-schema.ts';
import { deepFreeze, frozenMap } from './freeze.ts';
import { isMapping, valueAt } from './schema-node.ts';
import { problemAt, tidy, validate } from './validation.ts';
import { type FieldPath, parseYaml, type YamlDocument } from './yaml-document.ts';

/** Shares are decimal fractions, whose sum in binary is rarely exactly 100. */
const PERCENT_TOLERANCE = 1e-6;

export interface CompiledFlags {
	/** Null when there are problems. */
	readonly flags: ReadonlyMap<string, FlagDefinition> | null;
	/** What contracts may use; null when the file is too broken to tell. */
	readonly facts: ReadonlyMap<string, FlagFacts> | null;
	readonly problems: readonly Problem[];
}

export const NO_FLAGS: CompiledFlags = { flags: frozenMap([]), facts: new Map(), problems: [] };

/**
 * Compiles flags.yaml. Pure.
 * @param features names of the project's features, which rules may refer to.
 */
export function compileFlags(source: { file: string; text: string }, features: readonly string[]): CompiledFlags {
	const document = parseYaml(source);
	if (!document.readable) return { flags: null, facts: null, problems: tidy(document.problems) };
	const subject = { document, tree: document.value, sourceOf: () => null };
	const { value, problems: invalid } = validate({ zod: flagsSchema, json: flagsJsonSchema }, subject);
	const problems = tidy([...document.problems, ...invalid, ...checkFlags(document, features)]);
	const flags =
		value && problems.length === 0
			? frozenMap(Object.entries(value.flags).map(([name, raw]) => [name, deepFreeze(flagOf(name, raw))] as const))
			: null;
	return { flags, facts: factsOf(document), problems };
}

function flagOf(name: string, raw: RawFlag): FlagDefinition {
	return {
		name,
		description: raw.description,
		enabled: raw.state === 'enabled',
		type: flagTypeOf(Object.values(raw.variants)[0]) ?? 'string',
		variants: { ...raw.variants },
		defaultVariant: raw.default_variant,
		salt: raw.salt ?? name,
		rules: raw.rules.map(ruleOf),
	};
}

function ruleOf(raw: RawFlag['rules'][number], index: number): FlagRule {
	return {
		name: raw.name ?? `rule ${index + 1}`,
		when: conditionsOf(raw.when),
		unless: conditionsOf(raw.unless),
		outcome: raw.split
			? { split: { by: raw.split.by, percent: { ...raw.split.percent } } }
			: { variant: raw.variant ?? '' },
	};
}

function conditionsOf(raw: RawFlag['rules'][number]['when']): FlagConditions | null {
	if (raw === undefined) return null;
	return Object.fromEntries(Object.entries(raw).flatMap(([name, values]) => (values ? [[name, values]] : [])));
}

function factsOf({ value }: YamlDocument): ReadonlyMap<string, FlagFacts> {
	const facts = new Map<string, FlagFacts>();
	for (const [name, raw] of entriesOf(valueAt(value, ['flags']))) {
		const values = Object.values(variantsOf(raw)).filter((one): one is FlagValue => flagTypeOf(one) !== null);
		facts.set(name, { type: flagTypeOf(values[0]) ?? 'string', values });
	}
	return facts;
}

type Report = (path: FieldPath, what: Parameters<typeof problemAt>[2]) => void;

/** What a schema cannot say. Works on the tree as written, so that these problems show with those of the schema. */
function checkFlags(document: YamlDocument, features: readonly string[]): Problem[] {
	const problems: Problem[] = [];
	const report: Report = (path, what) => {
		problems.push(problemAt(document, path, what));
	};
	for (const [name, raw] of entriesOf(valueAt(document.value, ['flags']))) {
		const variants = variantsOf(raw);
		checkTypes(variants, ['flags', name, 'variants'], report);
		checkVariant(valueAt(raw, ['default_variant']), variants, { path: ['flags', name, 'default_variant'], report });
		const rules = valueAt(raw, ['rules']);
		if (!Array.isArray(rules)) continue;
		for (const [index, rule] of rules.entries()) {
			const path = ['flags', name, 'rules', index];
			if (isMapping(rule)) checkRule(rule, { path, variants, features, report });
			const last = index === rules.length - 1;
			if (!last && isMapping(rule) && rule.when === undefined && rule.unless === undefined) {
				const hint = 'move it to the end, or give it a condition';
				report(path, { message: 'fits every request, so that the rules below are never reached', hint });
			}
		}
	}
	return problems;
}

function checkTypes(variants: Readonly<Record<string, unknown>>, path: FieldPath, report: Report): void {
	let first: FlagType | null = null;
	for (const [name, value] of Object.entries(variants)) {
		const type = flagTypeOf(value);
		first ??= type;
		if (type !== null && type !== first) {
			report([...path, name], { message: `is a ${type}, and the first variant is a ${first}`, hint: 'use one kind' });
		}
	}
}

interface RuleSurroundings {
	readonly path: FieldPath;
	readonly variants: Readonly<Record<string, unknown>>;
	readonly features: readonly string[];
	readonly report: Report;
}

function checkRule(rule: Readonly<Record<string, unknown>>, around: RuleSurroundings): void {
	const { path, variants, features, report } = around;
	const { variant, split } = rule;
	if ((variant === undefined) === (split === undefined)) {
		const message = variant === undefined ? 'says neither variant nor split' : 'says both variant and split';
		report(path, { message, hint: 'a rule gives one variant, or splits between several' });
	}
	checkVariant(variant, variants, { path: [...path, 'variant'], report });
	for (const side of ['when', 'unless']) {
		const conditions = rule[side];
		if (!isMapping(conditions)) continue;
		if (Object.keys(conditions).length === 0) {
			report([...path, side], { message: 'names no condition', hint: 'leave it out, or name one' });
		}
		const named = conditions.feature;
		for (const [index, feature] of (Array.isArray(named) ? named : []).entries()) {
			if (typeof feature === 'string' && !features.includes(feature))
				report([...path, side, 'feature', index], dangling('feature', feature, features));
		}
	}
	const percent = valueAt(split, ['percent']);
	if (!isMapping(percent)) return;
	for (const name of Object.keys(percent)) {
		checkVariant(name, variants, { path: [...path, 'split', 'percent', name], report });
	}
	const shares = Object.values(percent).filter((share) => typeof share === 'number');
	const sum = shares.reduce((total, share) => total + share, 0);
	if (shares.length === Object.keys(percent).length && Math.abs(sum - 100) > PERCENT_TOLERANCE) {
		const message = `the shares add up to ${Number(sum.toFixed(6))} percent`;
		report([...path, 'split', 'percent'], { message, expected: '100 in all' });
	}
}

function checkVariant(
	name: unknown,
	variants: Readonly<Record<string, unknown>>,
	{ path, report }: { path: FieldPath; report: Report },
): void {
	const known = Object.keys(variants);
	if (typeof name === 'string' && known.length > 0 && !known.includes(name))
		report(path, dangling('variant', name, known));
}

function variantsOf(flag: unknown): Readonly<Record<string, unknown>> {
	const variants = valueAt(flag, ['variants']);
	return isMapping(variants) ? variants : {};
}

function entriesOf(mapping: unknown): [string, unknown][] {
	return isMapping(mapping) ? Object.entries(mapping) : [];
}
