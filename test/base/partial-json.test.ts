import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type JsonPath, PartialJson, PartialJsonError } from '../../src/base/partial-json.ts';

interface Read {
	readonly values: readonly { readonly path: JsonPath; readonly value: unknown }[];
	readonly error: string | null;
}

function read(pieces: readonly string[]): Read {
	const values: { path: JsonPath; value: unknown }[] = [];
	const reader = new PartialJson((path, value) => values.push({ path, value: structuredClone(value) }));
	try {
		for (const piece of pieces) reader.push(piece);
		return { values, error: null };
	} catch (error) {
		if (!(error instanceof PartialJsonError)) throw error;
		return { values, error: error.message };
	}
}

function cut(text: string, places: readonly number[]): string[] {
	const ends = [...places.map((place) => place % (text.length + 1)), text.length].sort((a, b) => a - b);
	return ends.map((end, index) => text.slice(ends[index - 1] ?? 0, end));
}

const places = fc.array(fc.nat(), { maxLength: 8 });
// A space ends a number at the root, which only the end of the text does else.
const texts = fc
	.tuple(fc.jsonValue(), fc.constantFrom(0, 1))
	.map(([value, indent]) => `${JSON.stringify(value, null, indent)} `);

test('every value is given out once it is complete, members first, however the text is split', () => {
	expect(read(['{"a": [1, {"b', '": "x\\u0', '041"}], "c": {}}']).values).toEqual([
		{ path: ['a', 0], value: 1 },
		{ path: ['a', 1, 'b'], value: 'xA' },
		{ path: ['a', 1], value: { b: 'xA' } },
		{ path: ['a'], value: [1, { b: 'xA' }] },
		{ path: ['c'], value: {} },
		{ path: [], value: { a: [1, { b: 'xA' }], c: {} } },
	]);
	fc.assert(
		fc.property(texts, places, (text, at) => {
			const { values, error } = read(cut(text, at));
			expect(error).toBeNull();
			expect(JSON.stringify(values.at(-1))).toBe(JSON.stringify({ path: [], value: JSON.parse(text) }));
			expect(read([text])).toEqual({ values, error });
		}),
	);
});

test('the beginning of a valid text is no error, and never the whole', () => {
	fc.assert(
		fc.property(texts, fc.nat(), (text, at) => {
			const { values, error } = read([text.slice(0, at % (text.length - 1))]);
			expect(error).toBeNull();
			expect(values.filter(({ path }) => path.length === 0)).toEqual([]);
		}),
	);
});

test('what is whole for it is what JSON is, whatever the text', () => {
	const piece = fc.oneof(
		fc.constantFrom('{', '}', '[', ']', ',', ':', '"', '"a"', '1', '-', '0', '.', 'e', 'true', 'nul', ' ', '\\'),
		fc.string(),
	);
	fc.assert(
		fc.property(fc.array(piece, { maxLength: 8 }), places, (pieces, at) => {
			const text = `${pieces.join('')} `;
			const { values, error } = read(cut(text, at));
			const whole = error === null && values.some(({ path }) => path.length === 0);
			let isJson = true;
			try {
				JSON.parse(text);
			} catch {
				isJson = false;
			}
			expect(whole).toBe(isJson);
		}),
		{ numRuns: 3_000 },
	);
});

test.each([
	['a fence', '```json'],
	['words', 'Here it is'],
	['a second value', '{} {}'],
	['a comma too many', '[1,]'],
	['a name without quotes', '{a'],
	['a wrong bracket', '[1}'],
	['a number that is none', '[01'],
	['a number without an end', `[${'1'.repeat(500)}`],
	['too many levels', '['.repeat(65)],
])('%s is an error at once', (_what, text) => {
	expect(read([text]).error).not.toBeNull();
});

test('a member named __proto__ is a member', () => {
	const { values } = read(['{"__proto__": {"a": 1}}']);
	expect(Object.keys(values.at(-1)?.value as object)).toEqual(['__proto__']);
});
