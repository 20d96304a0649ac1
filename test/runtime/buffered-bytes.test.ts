import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BufferedBytes, type HeldBytes } from '../../src/runtime/buffered-bytes.ts';
import { PlimsollError } from '../../src/spec/errors.ts';

describe('what is held in memory', () => {
	it('never passes the cap by what can be refused, and is all given back, in any order', () => {
		const event = fc.record({
			kind: fc.constantFrom('open', 'take', 'grow', 'close'),
			tenant: fc.constantFrom('a', 'b', 'c'),
			bytes: fc.nat(300_000),
			pick: fc.nat(50),
		});
		fc.assert(
			fc.property(fc.array(event, { maxLength: 100 }), (events) => {
				const all = new BufferedBytes(1_000_000);
				const open: HeldBytes[] = [];
				for (const { kind, tenant, bytes, pick } of events) {
					try {
						const one = open[pick % Math.max(1, open.length)];
						if (kind === 'open') open.push(all.open(tenant));
						else if (kind === 'close') one?.close();
						else if (kind === 'take') one?.take(bytes);
						else one?.grow(bytes);
					} catch (thrown) {
						expect(thrown).toMatchObject({ code: 'overloaded', retryAfterMs: 1000 });
						expect(thrown).toBeInstanceOf(PlimsollError);
					}
					expect(all.held).toBeGreaterThanOrEqual(0);
					expect(all.held).toBeLessThanOrEqual(1_000_000);
				}
				for (const one of open) one.close();
				for (const one of open) one.close();
				expect(all.held).toBe(0);
			}),
		);
	});

	it('leaves room for others, however much one tenant sends', () => {
		const all = new BufferedBytes(1_000_000);
		const flood = () => {
			for (let n = 0; n < 1000; n++) all.open('flood').take(10_000);
		};
		expect(flood).toThrow('buffered_bytes_max');
		expect(all.held).toBeLessThan(810_000);
		expect(() => all.open('quiet').take(100_000)).not.toThrow();
	});
});
