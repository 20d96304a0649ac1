import { nearest } from '../base/nearest.ts';
import { PlimsollError } from '../spec/errors.ts';
import type { Condition, FieldType, Filter } from '../spec/retrieval.ts';

/** What a filter may be at most: every condition costs the index work. */
const FILTER_DEPTH_MAX = 8;
const FILTER_CONDITIONS_MAX = 64;
const FILTER_VALUES_MAX = 1_000;
const TEXT_CHARS_MAX = 4_000;
const SHOWN_CHARS_MAX = 60;

type Fields = ReadonlyMap<string, FieldType>;
type Members = Readonly<Record<string, unknown>>;
type Scalar = string | number | boolean;

const GROUPS = ['all', 'any', 'not'] as const;
const TESTS = ['equal', 'one_of', 'from', 'to', 'any_label', 'present'] as const;

/** Which tests a type of field knows. */
const TESTS_OF: Readonly<Record<FieldType, readonly (typeof TESTS)[number][]>> = {
	text: ['equal', 'one_of', 'present'],
	number: ['equal', 'one_of', 'from', 'to', 'present'],
	boolean: ['equal', 'present'],
	time: ['equal', 'one_of', 'from', 'to', 'present'],
	labels: ['any_label', 'present'],
};

/**
 * A filter as clients write it, checked against the fields that there are: `{"all": […]}`, `{"any": […]}`, `{"not": …}`, or a
 * condition such as `{"field": "year", "from": 2020}`. Throws PlimsollError `request_invalid` with the place at fault.
 */
export function readFilter(value: unknown, fields: Fields): Filter {
	return new FilterReader(fields).read(value, 'filter', 1);
}

class FilterReader {
	readonly #fields: Fields;
	#conditions = 0;
	#values = 0;

	constructor(fields: Fields) {
		this.#fields = fields;
	}

	read(value: unknown, at: string, depth: number): Filter {
		if (depth > FILTER_DEPTH_MAX) fail(at, `is nested deeper than ${FILTER_DEPTH_MAX} levels`);
		const members = membersOf(value, at);
		const group = GROUPS.find((name) => Object.hasOwn(members, name));
		if (group === undefined) return this.#condition(members, at);
		if (Object.keys(members).length > 1) fail(at, `has ${group} and more; each group stands alone`);
		const inner = members[group];
		if (group === 'not') return { not: this.read(inner, `${at}.not`, depth + 1) };
		const list = this.#list(inner, `${at}.${group}`).map((one, index) =>
			this.read(one, `${at}.${group}[${index}]`, depth + 1),
		);
		return group === 'all' ? { all: list } : { any: list };
	}

	#condition(members: Members, at: string): Filter {
		if (++this.#conditions > FILTER_CONDITIONS_MAX) fail(at, `is one of more than ${FILTER_CONDITIONS_MAX} conditions`);
		const { field, type } = this.#field(members.field, `${at}.field`);
		const tests = Object.keys(members).filter((name) => name !== 'field');
		for (const name of tests) {
			if ((TESTS_OF[type] as readonly string[]).includes(name)) continue;
			const expected = `${field} is of type ${type}, which knows ${TESTS_OF[type].join(', ')}`;
			if ((TESTS as readonly string[]).includes(name)) fail(`${at}.${name}`, `does not fit: ${expected}`);
			fail(`${at}.${name}`, `is unknown; ${expected}${hintFor(name, TESTS_OF[type])}`);
		}
		const isRange = tests.length > 0 && tests.every((name) => name === 'from' || name === 'to');
		if (tests.length !== 1 && !isRange) fail(at, `needs one of ${TESTS_OF[type].join(', ')}`);
		if (isRange) return this.#range(field, { members, at, type });
		const [name = ''] = tests;
		const place = `${at}.${name}`;
		const asked = members[name];
		if (name === 'equal') return { field, is: 'equal', value: this.#value(asked, place, type) };
		if (name === 'one_of') return { field, is: 'one_of', values: this.#valueList(asked, place, type) };
		if (name === 'any_label')
			return { field, is: 'any_label', values: this.#valueList(asked, place, 'text').map(String) };
		if (typeof asked !== 'boolean') fail(place, 'must be true or false');
		const present: Condition = { field, is: 'present' };
		return asked ? present : { not: present };
	}

	#field(name: unknown, at: string): { field: string; type: FieldType } {
		const known = [...this.#fields.keys()];
		if (typeof name !== 'string') fail(at, 'must be the name of a field');
		const type = this.#fields.get(name);
		if (type !== undefined) return { field: name, type };
		const shown = name.slice(0, SHOWN_CHARS_MAX);
		const expected = known.length === 0 ? 'this collection has no fields' : `the fields are ${known.join(', ')}`;
		fail(at, `"${shown}" is no field of this collection; ${expected}${hintFor(shown, known)}`);
	}

	#range(field: string, { members, at, type }: { members: Members; at: string; type: FieldType }): Condition {
		const end = (name: 'from' | 'to') =>
			Object.hasOwn(members, name) ? Number(this.#value(members[name], `${at}.${name}`, type)) : null;
		return { field, is: 'between', least: end('from'), most: end('to') };
	}

	#valueList(value: unknown, at: string, type: FieldType): (string | number)[] {
		return this.#list(value, at).map((one, index) => {
			const read = this.#value(one, `${at}[${index}]`, type);
			return typeof read === 'boolean' ? Number(read) : read;
		});
	}

	#list(value: unknown, at: string): readonly unknown[] {
		if (!Array.isArray(value)) fail(at, 'must be a list');
		this.#count(value.length, at);
		return value;
	}

	#count(values: number, at: string): void {
		this.#values += values;
		if (this.#values > FILTER_VALUES_MAX) fail(at, `brings the filter above ${FILTER_VALUES_MAX} values`);
	}

	#value(value: unknown, at: string, type: FieldType): Scalar {
		if (type === 'time') return instantOf(value, at);
		const wanted = type === 'labels' ? 'text' : type;
		if (wanted === 'text' && typeof value === 'string') {
			if (value.length > TEXT_CHARS_MAX) fail(at, `is longer than ${TEXT_CHARS_MAX} characters`);
			return value;
		}
		if (wanted === 'number' && typeof value === 'number' && Number.isFinite(value)) return value;
		if (wanted === 'boolean' && typeof value === 'boolean') return value;
		fail(at, `must be ${wanted === 'text' ? 'text' : wanted === 'number' ? 'a number' : 'true or false'}`);
	}
}

const ISO = /^\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?(Z|[+-]\d{2}:\d{2}))?$/;

function instantOf(value: unknown, at: string): number {
	if (typeof value === 'number' && Number.isFinite(value)) return value;
	const ms = typeof value === 'string' && ISO.test(value) ? Date.parse(value) : Number.NaN;
	if (Number.isNaN(ms)) fail(at, 'must be a time such as 2026-01-31T12:00:00Z, or milliseconds since 1970');
	return ms;
}

function membersOf(value: unknown, at: string): Members {
	if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Members;
	return fail(at, 'must be an object');
}

function hintFor(name: string, known: readonly string[]): string {
	const near = nearest(name, known);
	return near ? `; did you mean ${near}?` : '';
}

function fail(at: string, what: string): never {
	throw new PlimsollError('request_invalid', `${at} ${what}.`, { param: at });
}

/** All of these at once; null: no restriction. */
export function allOf(filters: readonly (Filter | null)[]): Filter | null {
	const some = filters.filter((filter) => filter !== null);
	return some.length > 1 ? { all: some } : (some[0] ?? null);
}
