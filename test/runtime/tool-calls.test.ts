import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CallPieces, soundCalls } from '../../src/runtime/tool-calls.ts';
import type { Completion } from '../../src/spec/model.ts';

const call = (args: unknown, name = 'look_up') => ({
	id: 'call_1',
	type: 'function',
	function: { name, arguments: args },
});

function completion(toolCalls: unknown[], more: Partial<Completion> = {}): Completion {
	const message = { role: 'assistant', content: null, tool_calls: toolCalls, vendor: 'kept' };
	return {
		text: '',
		finishReason: 'tool_calls',
		toolCalls,
		usage: null,
		served: { model: null, responseId: null, fingerprint: null },
		confidence: null,
		raw: JSON.stringify({
			id: 'x',
			choices: [{ index: 0, message, finish_reason: 'tool_calls' }, { index: 1 }],
			extra: 1,
		}),
		...more,
	};
}

const argsOf = (calls: readonly unknown[] | null) =>
	(calls as ReturnType<typeof call>[]).map((one) => one.function.arguments);

describe('the arguments of a whole call', () => {
	it.each([['{"a":1}'], ['{}'], [''], ['  '], ['null'], ['{"a": "}{"}']])(
		'%j stay as they are, and so does the provider’s JSON',
		(args) => {
			const given = completion([call(args)]);
			expect(soundCalls(given, 'a/b')).toEqual({ completion: given, repaired: 0 });
		},
	);

	it.each([
		["{'a': 1}", '{"a": 1}'],
		['{"a": 1,}', '{"a": 1}'],
		['```json\n{"a": 1}\n```', '{"a": 1}'],
		['{a: True}', '{"a": true}'],
		['"{\\"a\\": 1}"', '{"a": 1}'],
	])('%j are repaired, in the provider’s JSON too', (args, repaired) => {
		const sound = soundCalls(completion([call('{"b":2}'), call(args)]), 'a/b');
		expect(sound.repaired).toBe(1);
		expect(argsOf(sound.completion.toolCalls)).toEqual(['{"b":2}', repaired]);
		const raw = JSON.parse(sound.completion.raw ?? '');
		expect(argsOf(raw.choices[0].message.tool_calls)).toEqual(['{"b":2}', repaired]);
		expect(raw).toMatchObject({ extra: 1, choices: [{ message: { vendor: 'kept' } }, { index: 1 }] });
	});

	it('become text where an endpoint gives an object', () => {
		expect(argsOf(soundCalls(completion([call({ a: 1 })]), 'a/b').completion.toolCalls)).toEqual(['{"a":1}']);
	});

	it.each([
		['{"a": 1'],
		['{"a": "x'],
		['[1]'],
		['7'],
		['"x"'],
		['look_up(a=1)'],
		['{"a": 1, ...}'],
		['{"a": 1}{"a": 2}'],
	])('%j are an error, and nothing is made up for what is missing', (args) => {
		expect(() => soundCalls(completion([call(args)]), 'a/b')).toThrow(
			expect.objectContaining({
				kind: 'broken_call',
				upstream: 'a/b',
				message: expect.stringMatching(/the tool look_up/),
			}),
		);
	});

	it('without the name of a tool are an error', () => {
		expect(() => soundCalls(completion([call('{}', '')]), 'a/b')).toThrow(/without saying which/);
	});

	it('that ended early with their answer stay as they are, since its finish reason says so', () => {
		for (const finishReason of ['length', 'content_filter']) {
			const given = completion([call('{"a": 1')], { finishReason });
			expect(soundCalls(given, 'a/b').completion).toBe(given);
		}
	});

	it('of other kinds of calls are left alone', () => {
		const given = completion([{ id: '1', type: 'custom', custom: { name: 'run', input: 'no JSON' } }]);
		expect(soundCalls(given, 'a/b').completion).toBe(given);
	});

	it('are an object after any repair, and of any object the same', () => {
		fc.assert(
			fc.property(fc.string({ maxLength: 40 }), (args) => {
				let sound: readonly unknown[] | null = null;
				try {
					sound = soundCalls(completion([call(args)]), 'a/b').completion.toolCalls;
				} catch (error) {
					expect(error).toMatchObject({ kind: 'broken_call' });
				}
				for (const one of argsOf(sound ?? [])) {
					if (typeof one === 'string' && one.trim() === '') continue;
					const value: unknown = JSON.parse(String(one));
					expect(value === null || (typeof value === 'object' && !Array.isArray(value))).toBe(true);
				}
			}),
		);
		fc.assert(
			fc.property(fc.dictionary(fc.string(), fc.jsonValue()), (value) => {
				const args = JSON.stringify(value);
				expect(argsOf(soundCalls(completion([call(args)]), 'a/b').completion.toolCalls)).toEqual([args]);
			}),
		);
	});
});

describe('the pieces of a stream’s calls', () => {
	const pieces = (...args: string[]) =>
		args.map((text, at) => ({
			index: 0,
			...(at === 0 && { id: 'a' }),
			function: { ...(at === 0 && { name: 'look_up' }), arguments: text },
		}));
	const ended = (finishReason: string, ...args: string[]) => {
		const calls = new CallPieces('a/b');
		for (const piece of pieces(...args)) calls.add([piece]);
		return () => calls.end(finishReason);
	};

	it('must be an object together when the answer ends well', () => {
		expect(ended('tool_calls', '{"a"', ':1}')).not.toThrow();
		expect(ended('tool_calls', '')).not.toThrow();
		expect(ended('tool_calls', '{"a"', ':1')).toThrow(expect.objectContaining({ kind: 'broken_call' }));
		expect(ended('stop', "{'a': 1}")).toThrow(expect.objectContaining({ kind: 'broken_call' }));
		expect(ended('length', '{"a"')).not.toThrow();
	});

	it('have a bound', () => {
		const calls = new CallPieces('a/b');
		const long = 'x'.repeat(1_000_000);
		expect(() => {
			for (let n = 0; n < 5; n++) calls.add(pieces(long));
		}).toThrow(expect.objectContaining({ kind: 'nonsense' }));
	});
});
