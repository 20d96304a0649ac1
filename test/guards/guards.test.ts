import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseCitations } from '../../src/base/citation.ts';
import type { Contract } from '../../src/contracts/release.ts';
import { createGuards } from '../../src/guards/guards.ts';
import type { GuardContext } from '../../src/spec/guard.ts';
import type { Passage } from '../../src/spec/retrieval.ts';
import { growth } from '../support/cpu.ts';
import { ALONE } from '../support/schema-reading.ts';

const OPEN: Contract['guards'] = {
	outputSchema: null,
	reading: ALONE,
	structured: null,
	citations: 'off',
	abstention: null,
	answerCharsMax: 1_000,
};

function passages(count: number): readonly Passage[] {
	return Array.from({ length: count }, (_, index) => ({
		chunkId: `chunk-${index + 1}`,
		documentId: 'document',
		source: 'manual',
		title: 'Title',
		headingPath: [],
		text: 'Text.',
		start: 0,
		end: 5,
		ordinal: index,
		tokens: 2,
		fields: {},
	}));
}

function context(given: Partial<GuardContext> = {}): GuardContext {
	return { question: 'What?', passages: passages(3), finishReason: 'stop', ...given };
}

/** The reasons of the guards that fail, by name. */
function failures(guards: Partial<Contract['guards']>, answer: string, given: Partial<GuardContext> = {}) {
	const verdicts = createGuards({ ...OPEN, ...guards }).map((guard) => guard.check(answer, context(given)));
	for (const { verdict, reason } of verdicts) expect(reason === null).toBe(verdict === 'pass');
	return Object.fromEntries(
		verdicts.filter(({ verdict }) => verdict === 'fail').map(({ guard, reason }) => [guard, reason]),
	);
}

test('a contract gets the guards that it asks for, the cheapest first', () => {
	const names = (guards: Partial<Contract['guards']>) => createGuards({ ...OPEN, ...guards }).map(({ name }) => name);
	expect(names({})).toEqual(['answer_length', 'not_truncated']);
	expect(names({ outputSchema: {}, citations: 'required' })).toEqual([
		'answer_length',
		'not_truncated',
		'schema',
		'citations',
	]);
});

describe('answer_length', () => {
	test('counts characters, not their halves', () => {
		expect(failures({ answerCharsMax: 3 }, 'abc')).toEqual({});
		expect(failures({ answerCharsMax: 3 }, 'abcd')).toEqual({
			answer_length: 'the answer is longer than 3 characters',
		});
		expect(failures({ answerCharsMax: 3 }, '😀😀😀')).toEqual({});
		expect(failures({ answerCharsMax: 3 }, '😀😀😀a')).toHaveProperty('answer_length');
	});

	test('keeps the other guards from reading an answer that is too long', () => {
		const unread = {
			...context(),
			get passages(): never {
				return expect.unreachable('the citations guard read on');
			},
		};
		const guards = createGuards({
			...OPEN,
			outputSchema: { type: 'object' },
			citations: 'required',
			answerCharsMax: 100,
		});
		const answer = '['.repeat(50_000_000);
		expect(guards.map((guard) => guard.check(answer, unread).reason)).toEqual([
			'the answer is longer than 100 characters',
			null,
			'not judged, because the answer is too long',
			'not judged, because the answer is too long',
		]);
	});
});

describe('not_truncated', () => {
	test.each(['stop', 'tool_calls', 'eos_token'])('an answer that ended with %s is whole', (finishReason) => {
		expect(failures({}, 'Yes.', { finishReason })).toEqual({});
	});

	test.each(['length', 'content_filter', 'abort', ''])('an answer that ended with %j is not', (finishReason) => {
		expect(failures({}, 'Yes.', { finishReason })).toHaveProperty('not_truncated');
	});
});

describe('schema', () => {
	const outputSchema = {
		$schema: 'https://json-schema.org/draft/2020-12/schema',
		type: 'object',
		properties: {
			verdict: { enum: ['yes', 'no'] },
			when: { type: 'string', format: 'date' },
			parts: { type: 'array', items: { $ref: '#/$defs/part' } },
		},
		required: ['verdict'],
		additionalProperties: false,
		$defs: { part: { type: 'object', properties: { parts: { type: 'array', items: { $ref: '#/$defs/part' } } } } },
	};

	test.each(['{"verdict":"yes"}', '\n {"verdict":"no","when":"2026-02-28","parts":[{}]} \n'])('passes %j', (answer) => {
		expect(failures({ outputSchema }, answer)).toEqual({});
	});

	test.each([
		['yes', 'the answer is not JSON'],
		['', 'the answer is not JSON'],
		['```json\n{"verdict":"yes"}\n```', 'the answer is not JSON'],
		['{"verdict":"yes"} and more', 'the answer is not JSON'],
		['{}', "the whole must have required property 'verdict'"],
		['{"verdict":"secret"}', '/verdict must be equal to one of the allowed values'],
		['{"verdict":"yes","when":"2026-02-30"}', '/when must match format "date"'],
		['{"verdict":"yes","parts":[{"parts":[7]}]}', '/parts/0/parts/0 must be object'],
		['{"verdict":"yes","secret":1}', 'the whole must NOT have additional properties'],
	])('fails %j', (answer, reason) => {
		const found = failures({ outputSchema }, answer);
		expect(found.schema).toContain(reason);
		expect(found.schema).not.toContain('secret');
	});

	test('fails an answer that is nested too deeply to check, without throwing', () => {
		const depth = 100_000;
		const answer = `{"verdict":"yes","parts":[${'{"parts":['.repeat(depth)}${']}'.repeat(depth)}]}`;
		expect(failures({ outputSchema, answerCharsMax: 10_000_000 }, answer)).toHaveProperty('schema');
	});

	test('gives a short reason for a long pointer and for many errors', () => {
		const loose = { additionalProperties: { type: 'integer' } };
		const long = failures({ outputSchema: loose, answerCharsMax: 1e6 }, JSON.stringify({ ['k'.repeat(9_999)]: 'x' }));
		expect(long.schema?.length).toBeLessThan(300);
		const many = JSON.stringify(Object.fromEntries(Array.from({ length: 9_999 }, (_, i) => [`k${i}`, 'x'])));
		expect(failures({ outputSchema: loose, answerCharsMax: 1e6 }, many).schema?.length).toBeLessThan(300);
	});

	test('is refused at load when it is no schema', () => {
		expect(() => createGuards({ ...OPEN, outputSchema: { type: 'nothing' } })).toThrow(
			expect.objectContaining({ code: 'configuration_invalid' }),
		);
	});
});

describe('citations', () => {
	test.each([
		['Yes [1].', 'required', undefined],
		['Yes [1, 3][2].', 'required', undefined],
		['Yes.', 'required', 'the answer cites no passage'],
		['Yes.', 'valid', undefined],
		['Yes [1] and [4].', 'valid', 'the answer cites [4], and the prompt held 3 passages'],
		['Yes [0].', 'required', 'the answer cites [0], and the prompt held 3 passages'],
		['See `items[9]`.', 'valid', undefined],
		['```js\nitems[9] = 1;\n``` so [2]', 'required', undefined],
		['{"text":"Yes [2].","scores":[7, 8]}', 'required', undefined],
		['{"text":"Yes [7].","scores":[1]}', 'valid', 'the answer cites [7], and the prompt held 3 passages'],
	] as const)('%j with %s', (answer, citations, reason) => {
		expect(failures({ citations }, answer).citations).toBe(reason);
	});

	test('are listed once each, in the order of the answer, with their passages', () => {
		const given = passages(4);
		expect(parseCitations('A [3], b [1,3]. C [ 2 ] d [9] e [9][0] f [x] [1-2] [^1]', given)).toEqual({
			cited: [
				{ number: 3, passage: given[2] },
				{ number: 1, passage: given[0] },
			],
			unknown: [9, 0],
		});
	});

	test('of any answer name passages of the prompt, and nothing throws', () => {
		const piece = fc.oneof(
			fc.constantFrom('[', ']', '1', '2', ',', ' ', '`', '```', '\n', '{', '"', '[1]', '[1, 2]'),
			fc.string(),
		);
		fc.assert(
			fc.property(fc.array(piece), fc.nat(4), (parts, count) => {
				const given = passages(count);
				const { cited, unknown } = parseCitations(parts.join(''), given);
				for (const { number, passage } of cited) expect(given[number - 1]).toBe(passage);
				for (const number of unknown) expect(number < 1 || number > count).toBe(true);
				expect(new Set(cited.map(({ number }) => number)).size).toBe(cited.length);
			}),
			{ numRuns: 500 },
		);
	});

	test.each([
		['brackets', '['],
		['numbers', '[1,'],
		['a list', '1,'],
		['spaces', '[1 '],
		['digits', '9'],
		['backticks', '`'],
		['fences', '```'],
		['lines with a backtick', '`\n'],
		['JSON lists', '[['],
	])('in hostile %s cost work that grows with the size only', (_, unit) => {
		const work = (size: number) => {
			const answer = `[1${unit.repeat(size / unit.length)}`;
			return () => void parseCitations(answer, passages(1));
		};
		// Sixteen times the text: quadratic work would be 256 times as much, and minutes.
		expect(growth(work(100_000), work(1_600_000), 100)).toBeLessThan(100);
	});
});

test('the same answer gets the same verdict again', () => {
	const guards = createGuards({ ...OPEN, outputSchema: { type: 'string' }, citations: 'valid' });
	fc.assert(
		fc.property(fc.string(), (answer) => {
			for (const guard of guards) expect(guard.check(answer, context())).toEqual(guard.check(answer, context()));
		}),
	);
});

test('lets an abstention pass without a citation, and nothing that only begins like one', () => {
	const abstention = 'The manual does not say.';
	const guards = createGuards({ ...OPEN, citations: 'required', abstention });
	const verdicts = (answer: string) =>
		guards.map((guard) => guard.check(answer, { question: '?', passages: passages(2), finishReason: 'stop' }).verdict);
	expect(verdicts(` ${abstention}\n`)).toEqual(['pass', 'pass', 'pass']);
	expect(verdicts(`${abstention} But I think it is 42.`)).toEqual(['pass', 'pass', 'fail']);
});
