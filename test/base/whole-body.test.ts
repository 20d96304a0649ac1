import { Readable } from 'node:stream';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { wholeBody } from '../../src/base/whole-body.ts';

it('is what was sent, however it was cut, up to as many bytes as it may have', async () => {
	const blocks = fc.array(fc.uint8Array({ maxLength: 20 }), { maxLength: 8 });
	await fc.assert(
		fc.asyncProperty(blocks, fc.nat(100), async (sent, bytesMax) => {
			const all = Buffer.concat(sent);
			const read = await wholeBody(Readable.from(sent), bytesMax);
			expect(read).toEqual(all.byteLength > bytesMax ? null : all);
		}),
	);
});

it('of which more comes is not read on, and its stream is ended', async () => {
	let given = 0;
	const endless = Readable.from(
		(function* () {
			for (;;) {
				given++;
				yield Buffer.alloc(10);
			}
		})(),
		{ highWaterMark: 1 },
	);
	expect(await wholeBody(endless, 25)).toBeNull();
	expect(endless.destroyed).toBe(true);
	expect(given).toBeLessThan(8);
});

it('that breaks off is an error, and never what came until then', async () => {
	const broken = Readable.from(
		(function* () {
			yield Buffer.from('half');
			throw new Error('reset');
		})(),
	);
	await expect(wholeBody(broken, 100)).rejects.toThrow('reset');
});
