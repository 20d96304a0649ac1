import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { repairJson } from '../../src/base/json-repair.ts';
import { createGuards } from '../../src/guards/guards.ts';
import { ALONE } from '../support/schema-reading.ts';

describe('an answer that is not JSON', () => {
	test.each([
		['a fence', '```json\n{"a": 1}\n```', '{"a": 1}'],
		['a fence without a language, and words around it', 'Here it is:\n```\n[1, 2]\n```\nDone.', '[1, 2]'],
		['words around it', 'Sure! {"a": {"b": [1]}} I hope this helps.', '{"a": {"b": [1]}}'],
	])('is taken out of %s', (_what, answer, text) => {
		expect(repairJson(answer)).toEqual({ text, how: 'unwrapped' });
	});

	test.each([
		['single quotes and Python’s words', "{'a': True, 'b': None}", { a: true, b: null }],
		['a comma too many', '{"a": [1, 2,],}', { a: [1, 2] }],
		['a comma too few', '{"a": 1 "b": 2}', { a: 1, b: 2 }],
		['keys without quotes, and a comment', '{a: 1, /* one */ b: "x"}', { a: 1, b: 'x' }],
		['quotes within a text', '{"a": "he said "no" to it"}', { a: 'he said "no" to it' }],
		['all of that in a fence', "```json\n{a: 'x',}\n```", { a: 'x' }],
	])('has its syntax repaired: %s', (_what, answer, value) => {
		const repaired = repairJson(answer);
		expect(repaired?.how).toBe('syntax');
		expect(JSON.parse(repaired?.text ?? '')).toEqual(value);
	});

	test.each([
		['broke off in a text', '{"a": "the ship car'],
		['broke off after a member', '{"a": 1, "b": 2'],
		['broke off in a list', '{"a": [1, 2'],
		['lost a bracket', '{"a": [1, 2}'],
		['leaves a part out', '{"a": [1, 2, ...]}'],
		['is two answers', '```json\n{"a": 1}\n```\nor\n```json\n{"a": 2}\n```'],
		['is prose', 'I cannot answer that.'],
		['is a bare word', 'yes'],
		['is nothing', ''],
		['is nested too deeply', '[a,'.repeat(5_000)],
		['is too long to be repaired', `{'a': '${'x'.repeat(16_384)}'}`],
	])('is left alone when it %s', (_what, answer) => {
		expect(repairJson(answer)).toBeNull();
	});

	test('gives JSON or nothing, whatever it is', () => {
		const json = fc.json({ maxDepth: 3 });
		const piece = fc.oneof(
			json,
			fc.constantFrom('```', '{', '}', '[', ']', "'", '"', ',', ':', '...', '\\'),
			fc.string(),
		);
		fc.assert(
			fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
				const repaired = repairJson(pieces.join(''));
				if (repaired !== null) expect(() => JSON.parse(repaired.text)).not.toThrow();
			}),
			{ numRuns: 2_000 },
		);
	});

	test('a valid object that is cut anywhere is not made whole', () => {
		const object = fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 3 }), { minKeys: 1 });
		fc.assert(
			fc.property(object, fc.nat(), (value, at) => {
				const text = JSON.stringify(value);
				const part = text.slice(0, 1 + (at % (text.length - 1)));
				const repaired = repairJson(part);
				// What is found whole within the part is not the object, and it is for the schema to say so.
				if (repaired !== null) expect(repaired.how).toBe('unwrapped');
			}),
			{ numRuns: 2_000 },
		);
	});
});

test('a repair counts only when the schema lets it pass, and only where the contract wants one', () => {
	const outputSchema = { type: 'object', required: ['a'], properties: { a: { type: 'integer' } } };
	const settings = { outputSchema, reading: ALONE, citations: 'off', abstention: null, answerCharsMax: 1_000 } as const;
	const structured = { formats: {}, instruction: null };
	const schemaOf = (more: Partial<Parameters<typeof createGuards>[0]>) =>
		createGuards({ ...settings, structured, ...more }).find(({ name }) => name === 'schema');
	expect(schemaOf({})?.repair?.("{'a': 1}")).toEqual({ text: '{"a": 1}', how: 'syntax' });
	expect(schemaOf({})?.repair?.("{'a': 'x'}")).toBeNull();
	expect(schemaOf({ structured: null })?.repair).toBeUndefined();
});
