import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { base64Bytes, imageHeader } from '../../src/base/image-header.ts';
import { IMAGES_37_BY_21, pngOf } from '../support/tiny-images.ts';

const SIZE = { widthPx: 37, heightPx: 21 };

describe('imageHeader', () => {
	it.each(Object.entries(IMAGES_37_BY_21))('reads kind and size of a real %s', (name, base64) => {
		const kind = /^[a-z]+/.exec(name)?.[0];
		expect(imageHeader(base64)).toEqual({ mediaType: `image/${kind}`, ...SIZE });
	});

	it('finds the size of a JPEG behind metadata of any length, and decodes none of it', () => {
		const jpeg = Buffer.from(IMAGES_37_BY_21.jpeg, 'base64');
		fc.assert(
			fc.property(fc.array(fc.integer({ min: 0, max: 65_000 }), { maxLength: 5 }), (lengths) => {
				const segments = lengths.map((length) => {
					const segment = Buffer.alloc(length + 4, 0xc0);
					segment.writeUInt16BE(0xffe1, 0);
					segment.writeUInt16BE(length + 2, 2);
					return segment;
				});
				const whole = Buffer.concat([jpeg.subarray(0, 2), ...segments, jpeg.subarray(2)]);
				expect(imageHeader(whole.toString('base64'))).toEqual({ mediaType: 'image/jpeg', ...SIZE });
			}),
			{ numRuns: 50 },
		);
	});

	it('reads sizes up to four bytes', () => {
		expect(imageHeader(pngOf(4_000_000_000, 1))).toMatchObject({ widthPx: 4_000_000_000, heightPx: 1 });
	});

	it('says nothing of what is none of the kinds, is cut before its size, or has no size', () => {
		for (const base64 of Object.values(IMAGES_37_BY_21)) {
			expect(imageHeader(base64.slice(0, 12))).toBeNull();
		}
		for (const text of ['', 'a', '<svg width="1"/>', 'GIF88a______', 'RIFF____WAVEfmt ______________']) {
			expect(imageHeader(Buffer.from(text).toString('base64'))).toBeNull();
		}
		expect(imageHeader(pngOf(0, 5))).toBeNull();
	});

	it('ends on any bytes, also on a JPEG whose segments lead nowhere', () => {
		fc.assert(
			fc.property(
				fc.uint8Array({ maxLength: 200 }),
				fc.constantFrom('', '/9j/', 'iVBORw0KGgo', 'UklG'),
				(bytes, start) => {
					imageHeader(start + Buffer.from(bytes).toString('base64'));
				},
			),
		);
		expect(imageHeader(Buffer.alloc(100_000, 0xff).fill(0xd8, 1, 2).toString('base64'))).toBeNull();
	});
});

it('base64Bytes counts what a base64 text stands for', () => {
	fc.assert(
		fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
			expect(base64Bytes(Buffer.from(bytes).toString('base64'))).toBe(bytes.length);
			expect(base64Bytes(Buffer.from(bytes).toString('base64url'))).toBe(bytes.length);
		}),
	);
});
