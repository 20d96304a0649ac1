import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readFilter } from '../../src/policy/filter.ts';
import { PlimsollError } from '../../src/spec/errors.ts';
import type { FieldType } from '../../src/spec/retrieval.ts';

const FIELDS = new Map<string, FieldType>([
	['product', 'text'],
	['year', 'number'],
	['draft', 'boolean'],
	['updated', 'time'],
	['tags', 'labels'],
]);

function refusal(filter: unknown): { message: string; param: string | null } {
	try {
		readFilter(filter, FIELDS);
	} catch (error) {
		if (error instanceof PlimsollError) return { message: error.message, param: error.param };
	}
	throw new Error('the filter was taken');
}

describe('a client’s filter', () => {
	it('is read with times as they are written', () => {
		const filter = {
			all: [
				{ field: 'updated', from: '2026-01-01', to: 1_800_000_000_000 },
				{ field: 'tags', any_label: ['a'] },
			],
		};
		expect(readFilter(filter, FIELDS)).toEqual({
			all: [
				{ field: 'updated', is: 'between', least: Date.UTC(2026, 0, 1), most: 1_800_000_000_000 },
				{ field: 'tags', is: 'any_label', values: ['a'] },
			],
		});
		expect(readFilter({ field: 'year', present: false }, FIELDS)).toEqual({ not: { field: 'year', is: 'present' } });
	});

	it.each([
		[{ field: 'prodct', equal: 'x' }, 'filter.field', 'did you mean product?'],
		[{ field: 'year', equal: '2020' }, 'filter.equal', 'must be a number'],
		[{ field: 'product', from: 'a' }, 'filter.from', 'of type text, which knows equal, one_of, present'],
		[{ field: 'product', equals: 'x' }, 'filter.equals', 'did you mean equal?'],
		[{ field: 'product' }, 'filter', 'needs one of'],
		[{ field: 'product', equal: 'x', present: true }, 'filter', 'needs one of'],
		[{ any: [{ all: [] }, { field: 'updated', to: '2026-13-01' }] }, 'filter.any[1].to', 'must be a time'],
		[{ all: [], field: 'year' }, 'filter', 'each group stands alone'],
		[{ field: 'draft', equal: null }, 'filter.equal', 'true or false'],
		[{ field: 'year', from: Number.POSITIVE_INFINITY }, 'filter.from', 'must be a number'],
		[{ not: [] }, 'filter.not', 'must be an object'],
		[{ all: {} }, 'filter.all', 'must be a list'],
		[{ field: 'toString', equal: 'x' }, 'filter.field', 'is no field'],
	])('%j is refused at its place', (filter, param, what) => {
		const refused = refusal(filter);
		expect(refused.param).toBe(param);
		expect(refused.message).toContain(what);
	});

	it('is bounded in depth, conditions, values and text', () => {
		let deep: unknown = { field: 'draft', equal: true };
		for (let at = 0; at < 30_000; at++) deep = { not: deep };
		expect(refusal(deep).message).toContain('nested deeper than 8');
		const many = { any: Array.from({ length: 65 }, () => ({ field: 'draft', equal: true })) };
		expect(refusal(many).message).toContain('more than 64 conditions');
		const values = { field: 'product', one_of: Array.from({ length: 1_001 }, String) };
		expect(refusal(values).message).toContain('above 1000 values');
		expect(refusal({ field: 'product', equal: 'x'.repeat(4_001) }).message).toContain('longer than 4000');
	});

	it('is read or refused, whatever JSON it is', () => {
		fc.assert(
			fc.property(fc.jsonValue(), (value) => {
				try {
					readFilter(value, FIELDS);
				} catch (error) {
					expect(error).toMatchObject({ code: 'request_invalid' });
				}
			}),
		);
	});
});
