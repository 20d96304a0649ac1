import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SseError, SseParser } from '../../src/models/openai-compatible/sse-parser.ts';

/** The events of the bytes, cut at the given places. */
function parse(bytes: Buffer, cuts: readonly number[] = [], charsMax?: number): [string, string][] {
	const events: [string, string][] = [];
	const parser = new SseParser((data, event) => events.push([data, event]), charsMax);
	const places = [...new Set([0, ...cuts.map((cut) => cut % (bytes.length + 1)), bytes.length])].sort((a, b) => a - b);
	for (let i = 1; i < places.length; i++) parser.push(bytes.subarray(places[i - 1], places[i]));
	parser.end();
	return events;
}

const text = (string: string) => parse(Buffer.from(string));

describe('server-sent events', () => {
	it('are read with LF, CR LF and CR, comments, names, ids and a byte order mark', () => {
		expect(text('\uFEFF: hello\r\ndata: {"a":1}\r\n\r\nevent: ping\rdata:2\r\rid: 7\nretry: 10\ndata: 3\n\n')).toEqual([
			['{"a":1}', ''],
			['2', 'ping'],
			['3', ''],
		]);
	});

	it('join several data lines and drop events without data', () => {
		expect(text('data: a\ndata:  b\ndata\n\nevent: empty\n\ndata:\n\n')).toEqual([['a\n b\n', '']]);
	});

	it('are given out at the end also without their last line ends', () => {
		expect(text('data: 1\n\ndata: [DONE]')).toEqual([
			['1', ''],
			['[DONE]', ''],
		]);
	});

	it('are refused when a line is no field, so that a damaged one is not skipped in silence', () => {
		expect(() => text('data: 1\n\ndbta: 2\n\n')).toThrow(SseError);
		expect(() => text('{"error":{}}\n')).toThrow(SseError);
	});

	it('are refused above the cap, as one line, as many lines, and unfinished', () => {
		for (const long of [`data: ${'x'.repeat(2000)}\n\n`, 'data: 12345678\n'.repeat(200), 'x'.repeat(2000)]) {
			expect(() => parse(Buffer.from(long), [], 1000)).toThrow(/larger than 1000/);
		}
	});

	it('do not depend on where the bytes are cut', () => {
		const line = fc.oneof(
			fc.string({ unit: 'grapheme', maxLength: 20 }).map((value) => `data: ${value.replace(/[\r\n]/g, ' ')}`),
			fc.constant(''),
			fc.constant(': comment ü'),
			fc.constant('event: named'),
		);
		const stream = fc
			.array(fc.tuple(line, fc.constantFrom('\n', '\r\n', '\r')), { maxLength: 30 })
			.map((lines) => Buffer.from(lines.flat().join('')));
		fc.assert(
			fc.property(stream, fc.array(fc.nat(), { maxLength: 40 }), (bytes, cuts) => {
				expect(parse(bytes, cuts)).toEqual(parse(bytes));
				expect(parse(bytes, [...bytes.keys()])).toEqual(parse(bytes));
			}),
			{ numRuns: 2000 },
		);
	});
});
