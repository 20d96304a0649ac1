/** What the first bytes of an image say of it. */
export interface ImageHeader {
	readonly mediaType: 'image/png' | 'image/jpeg' | 'image/gif' | 'image/webp';
	readonly widthPx: number;
	readonly heightPx: number;
}

/** Of a JPEG so many segments are skipped in search of its size: metadata take some dozen at most. */
const SEGMENTS_MAX = 1_000;

/**
 * The kind and the size in pixels of an image, from its header alone: nothing of it is decoded but the base64 of some
 * bytes. Null for what is none of the four kinds, or whose header is broken. PNG (RFC 2083), GIF 87a and 89a, JPEG (ITU
 * T.81, annex B), WebP (RFC 9649).
 */
export function imageHeader(base64: string): ImageHeader | null {
	const head = bytesAt(base64, 0, 30);
	if (startsWith(head, '\x89PNG\r\n\x1a\n') && textAt(head, 12, 4) === 'IHDR' && head.length >= 24) {
		return sized('image/png', head.readUInt32BE(16), head.readUInt32BE(20));
	}
	if ((startsWith(head, 'GIF87a') || startsWith(head, 'GIF89a')) && head.length >= 10) {
		return sized('image/gif', head.readUInt16LE(6), head.readUInt16LE(8));
	}
	if (startsWith(head, 'RIFF') && textAt(head, 8, 4) === 'WEBP') return webp(head);
	if (startsWith(head, '\xff\xd8')) return jpeg(base64);
	return null;
}

/** How many bytes a base64 text stands for. */
export function base64Bytes(base64: string): number {
	const padding = base64.endsWith('==') ? 2 : base64.endsWith('=') ? 1 : 0;
	return Math.floor(((base64.length - padding) * 3) / 4);
}

function webp(head: Buffer): ImageHeader | null {
	if (head.length < 30) return null;
	switch (textAt(head, 12, 4)) {
		case 'VP8 ':
			return sized('image/webp', head.readUInt16LE(26) & 0x3fff, head.readUInt16LE(28) & 0x3fff);
		case 'VP8L': {
			const bits = head.readUInt32LE(21);
			return sized('image/webp', (bits & 0x3fff) + 1, ((bits >>> 14) & 0x3fff) + 1);
		}
		case 'VP8X':
			return sized('image/webp', head.readUIntLE(24, 3) + 1, head.readUIntLE(27, 3) + 1);
		default:
			return null;
	}
}

/** Walks from segment to segment to the frame header. */
function jpeg(base64: string): ImageHeader | null {
	let at = 2;
	for (let segments = 0; segments < SEGMENTS_MAX; segments++) {
		const segment = bytesAt(base64, at, 9);
		if (segment.length < 4 || segment[0] !== 0xff) return null;
		const marker = segment[1] as number;
		// A marker may be padded with any number of 0xff.
		if (marker === 0xff) {
			at++;
			continue;
		}
		const isFrame = marker >= 0xc0 && marker <= 0xcf && marker !== 0xc4 && marker !== 0xc8 && marker !== 0xcc;
		if (isFrame) {
			return segment.length < 9 ? null : sized('image/jpeg', segment.readUInt16BE(7), segment.readUInt16BE(5));
		}
		at += 2 + segment.readUInt16BE(2);
	}
	return null;
}

function sized(mediaType: ImageHeader['mediaType'], widthPx: number, heightPx: number): ImageHeader | null {
	return widthPx > 0 && heightPx > 0 ? { mediaType, widthPx, heightPx } : null;
}

/** Some bytes out of the middle of a base64 text; fewer at its end. */
function bytesAt(base64: string, start: number, length: number): Buffer {
	const group = Math.floor(start / 3);
	const groups = Math.ceil((start + length) / 3);
	const bytes = Buffer.from(base64.slice(group * 4, groups * 4), 'base64');
	return bytes.subarray(start - group * 3, start - group * 3 + length);
}

function startsWith(bytes: Buffer, text: string): boolean {
	return textAt(bytes, 0, text.length) === text;
}

function textAt(bytes: Buffer, start: number, length: number): string {
	return bytes.toString('latin1', start, start + length);
}
