import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CallNumbers } from '../../src/models/openai-compatible/call-numbers.ts';

const piece = (index: number | undefined, id: string | undefined, args: unknown, name?: string) => ({
	...(index !== undefined && { index }),
	...(id !== undefined && { id, type: 'function' }),
	function: { ...(name !== undefined && { name }), arguments: args },
});

/** As OpenAI's clients put calls together: by their index alone. */
function assembled(lists: readonly (readonly unknown[])[]): string[] {
	const calls: string[] = [];
	for (const list of lists) {
		for (const one of list as { index: number; function: { arguments: string } }[]) {
			calls[one.index] = (calls[one.index] ?? '') + one.function.arguments;
		}
	}
	return calls;
}

describe('CallNumbers', () => {
	it.each([
		['the same index for several calls', [piece(0, 'a', '{"n":1}'), piece(0, 'b', '{"n":'), piece(0, undefined, '2}')]],
		['an index that begins at 1', [piece(1, 'a', '{"n":1}'), piece(2, 'b', '{"n":2}')]],
		['no index', [piece(undefined, 'a', '{"n":1}'), piece(undefined, 'b', '{"n":'), piece(undefined, undefined, '2}')]],
		['the id again in each piece', [piece(0, 'a', '{"n":'), piece(0, 'a', '1}'), piece(1, 'b', '{"n":2}')]],
		['an empty id in later pieces', [piece(0, 'a', '{"n":'), piece(0, '', '1}'), piece(1, 'b', '{"n":2}')]],
		['arguments as an object', [piece(0, 'a', { n: 1 }), piece(1, 'b', { n: 2 })]],
		[
			'an id that comes back under a shared index',
			[piece(0, 'a', '{"n":'), piece(0, 'b', '{"n":2'), piece(0, 'a', '1}'), piece(0, 'b', '}')],
		],
	])('keeps calls apart that have %s', (_what, pieces) => {
		const numbers = new CallNumbers();
		expect(assembled(pieces.map((one) => numbers.sound([one])))).toEqual(['{"n":1}', '{"n":2}']);
	});

	it('gives back the very list where nothing is wrong with it', () => {
		const numbers = new CallNumbers();
		const lists = [[piece(0, 'a', ''), piece(1, 'b', '')], [piece(1, undefined, '{}')], [piece(0, undefined, '{}')]];
		for (const list of lists) expect(numbers.sound(list)).toBe(list);
	});

	it('puts together what was cut apart and interleaved in any way, whatever numbers stand beside ids', () => {
		const call = fc.record({ text: fc.string({ minLength: 1, maxLength: 12 }), index: fc.integer({ min: 0, max: 2 }) });
		fc.assert(
			fc.property(fc.array(call, { minLength: 1, maxLength: 5 }), fc.infiniteStream(fc.nat(1000)), (calls, draws) => {
				const numbers = new CallNumbers();
				const left = calls.map(({ text, index }, at) => ({ index, id: `call_${at}`, rest: text, begun: false }));
				const order: number[] = [];
				const lists: unknown[][] = [];
				for (const draw of draws) {
					const open = left.flatMap(({ rest }, at) => (rest === '' ? [] : [at]));
					const at = open[draw % Math.max(1, open.length)];
					const one = at === undefined ? undefined : left[at];
					if (at === undefined || !one) break;
					const length = 1 + (draw % one.rest.length);
					if (!one.begun) order.push(at);
					one.begun = true;
					lists.push([...numbers.sound([piece(one.index, one.id, one.rest.slice(0, length))])]);
					one.rest = one.rest.slice(length);
				}
				expect(assembled(lists as never)).toEqual(order.map((at) => calls[at]?.text));
			}),
		);
	});
});
