import { canonicalJson } from '../canonical-json.ts';
import { isMapping } from '../mapping.ts';
import { SchemaError } from './resources.ts';
import type { Judge } from './run.ts';

/** Compiles what a keyword demands of a value by itself. The texts of complaints are Ajv's, which users know. */
type Assertion = (operand: unknown) => Judge;

const TYPES = ['null', 'boolean', 'object', 'array', 'number', 'string', 'integer'];

const always: Judge = () => true;

export const ASSERTIONS: Readonly<Record<string, Assertion>> = {
	type(operand) {
		const types = [operand].flat().map(String);
		const unknown = types.find((type) => !TYPES.includes(type));
		if (unknown !== undefined) throw new SchemaError(`${JSON.stringify(unknown.slice(0, 100))} is not a type`);
		const message = `must be ${types.join(',')}`;
		return (value, run) => types.some((type) => isOfType(value, type)) || run.complain(message);
	},
	const(operand) {
		const isEqual = equalTo(operand);
		return (value, run) => isEqual(value) || run.complain('must be equal to constant');
	},
	enum(operand) {
		const plain = new Set(listOf(operand).filter((one) => !isStructure(one)));
		const structures = listOf(operand).filter(isStructure).map(equalTo);
		return (value, run) => {
			const isOne = isStructure(value) ? structures.some((isEqual) => isEqual(value)) : plain.has(value);
			return isOne || run.complain('must be equal to one of the allowed values');
		};
	},
	multipleOf: (operand) => number(operand, (value, by) => isMultiple(value, by), 'must be multiple of'),
	maximum: (operand) => number(operand, (value, limit) => value <= limit, 'must be <='),
	exclusiveMaximum: (operand) => number(operand, (value, limit) => value < limit, 'must be <'),
	minimum: (operand) => number(operand, (value, limit) => value >= limit, 'must be >='),
	exclusiveMinimum: (operand) => number(operand, (value, limit) => value > limit, 'must be >'),
	maxLength: (operand) => size(operand, (value) => lengthOf(value, Number(operand)), ['more', 'characters']),
	minLength: (operand) => size(operand, (value) => lengthOf(value, Number(operand)), ['fewer', 'characters']),
	maxItems: (operand) => size(operand, itemsOf, ['more', 'items']),
	minItems: (operand) => size(operand, itemsOf, ['fewer', 'items']),
	maxProperties: (operand) => size(operand, membersOf, ['more', 'properties']),
	minProperties: (operand) => size(operand, membersOf, ['fewer', 'properties']),
	pattern(operand) {
		const expression = expressionOf(String(operand));
		const message = `must match pattern "${operand}"`;
		return (value, run) => typeof value !== 'string' || expression.test(value) || run.complain(message);
	},
	uniqueItems(operand) {
		if (operand !== true) return always;
		return (value, run) => {
			if (!Array.isArray(value)) return true;
			const isUnique = new Set(value.map(canonicalJson)).size === value.length;
			return isUnique || run.complain('must NOT have duplicate items');
		};
	},
	required(operand) {
		const names = listOf(operand).map(String);
		return (value, run) => {
			if (!isMapping(value)) return true;
			const missing = names.find((name) => !Object.hasOwn(value, name));
			return missing === undefined || run.complain(`must have required property '${missing}'`);
		};
	},
	dependentRequired(operand) {
		const rules = Object.entries(isMapping(operand) ? operand : {});
		return (value, run) => {
			if (!isMapping(value)) return true;
			for (const [name, needed] of rules) {
				if (!Object.hasOwn(value, name)) continue;
				const missing = listOf(needed).find((other) => !Object.hasOwn(value, String(other)));
				if (missing !== undefined)
					return run.complain(`must have property ${missing} when property ${name} is present`);
			}
			return true;
		};
	},
};

/** A regular expression as `pattern` means it. Throws SchemaError when it is none. */
export function expressionOf(pattern: string): RegExp {
	try {
		return new RegExp(pattern, 'u');
	} catch {
		throw new SchemaError(`${JSON.stringify(pattern.slice(0, 100))} is not a regular expression`);
	}
}

function isOfType(value: unknown, type: string): boolean {
	switch (type) {
		case 'null':
			return value === null;
		case 'array':
			return Array.isArray(value);
		case 'object':
			return isMapping(value);
		case 'integer':
			return Number.isInteger(value);
		default:
			// The remaining names are JavaScript's own.
			return typeof value === type;
	}
}

function number(operand: unknown, holds: (value: number, operand: number) => boolean, message: string): Judge {
	const limit = Number(operand);
	return (value, run) => typeof value !== 'number' || holds(value, limit) || run.complain(`${message} ${limit}`);
}

/** Decimal fractions are rounded as they are read: 19.99 is a multiple of 0.01. */
function isMultiple(value: number, by: number): boolean {
	const quotient = value / by;
	if (!Number.isFinite(quotient)) return false;
	return Math.abs(quotient - Math.round(quotient)) <= 2 * Number.EPSILON * Math.abs(quotient);
}

function size(
	operand: unknown,
	measure: (value: unknown) => number | null,
	[word, unit]: readonly ['more' | 'fewer', string],
): Judge {
	const limit = Number(operand);
	const message = `must NOT have ${word} than ${limit} ${unit}`;
	return (value, run) => {
		const found = measure(value);
		return found === null || (word === 'more' ? found <= limit : found >= limit) || run.complain(message);
	};
}

/** In Unicode characters; in UTF-16 units where that leads to the same side of a limit. */
function lengthOf(value: unknown, limit: number): number | null {
	if (typeof value !== 'string') return null;
	if (value.length < limit || value.length > 2 * limit) return value.length;
	let characters = 0;
	for (const _ of value) characters++;
	return characters;
}

function itemsOf(value: unknown): number | null {
	return Array.isArray(value) ? value.length : null;
}

function membersOf(value: unknown): number | null {
	return isMapping(value) ? Object.keys(value).length : null;
}

function equalTo(operand: unknown): (value: unknown) => boolean {
	if (!isStructure(operand)) return (value) => value === operand;
	const text = canonicalJson(operand);
	return (value) => isStructure(value) && canonicalJson(value) === text;
}

function isStructure(value: unknown): boolean {
	return typeof value === 'object' && value !== null;
}

function listOf(operand: unknown): readonly unknown[] {
	return Array.isArray(operand) ? operand : [];
}
