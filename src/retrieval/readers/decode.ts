import { analyse } from 'chardet';

export interface Decoded {
	readonly text: string;
	/** The encoding was neither stated nor certain. */
	readonly guessed: boolean;
}

/** Below this, the library's guess is as good as any other. */
const CONFIDENCE_MIN = 30;
/** Bytes that a guess looks at, and in which a page states its encoding. */
const SAMPLE_BYTES = 65_536;
const PAGE_CHARSET = /<meta[^>]+charset\s*=\s*["']?\s*([\w:-]+)|<\?xml[^>]+encoding\s*=\s*["']([\w:-]+)/i;
/** Control characters that no text holds. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for
const BINARY = /[\u0000-\u0008\u000e-\u001a\u001c-\u001f]/;

/**
 * Bytes as text. A byte order mark counts most, then valid UTF-8, then what the source or the page states, then what the
 * bytes look like. Throws an Error that says why they are no text.
 * @param stated by the source, such as the charset of an HTTP header; null when it says nothing.
 */
export function decodeText(bytes: Uint8Array, stated: string | null): Decoded {
	if (startsWith(bytes, [0xff, 0xfe, 0, 0]) || startsWith(bytes, [0, 0, 0xfe, 0xff])) {
		throw new Error('UTF-32 is not read: save it as UTF-8');
	}
	if (startsWith(bytes, [0xff, 0xfe])) return { text: decodeAs('utf-16le', bytes), guessed: false };
	if (startsWith(bytes, [0xfe, 0xff])) return { text: decodeAs('utf-16be', bytes), guessed: false };
	const utf8 = tryDecode('utf-8', bytes);
	if (utf8 !== null && !utf8.includes('\0')) return { text: utf8, guessed: false };
	const sample = bytes.subarray(0, SAMPLE_BYTES);
	const named = stated ?? namedByPage(sample);
	if (named !== null && !/^utf-?8$/i.test(named)) return { text: decodeAs(named, bytes), guessed: false };
	// NUL is valid UTF-8, but no text holds it: an image or archive with the wrong name does.
	if (bytes.includes(0)) throw new Error('not text: it holds NUL bytes');
	return { text: decodeAs(likelyEncoding(sample), bytes), guessed: true };
}

function namedByPage(sample: Uint8Array): string | null {
	const match = PAGE_CHARSET.exec(Buffer.from(sample.subarray(0, 4_096)).toString('latin1'));
	return match?.[1] ?? match?.[2] ?? null;
}

function likelyEncoding(sample: Uint8Array): string {
	// It was no UTF-8, and UTF-16 and UTF-32 without a mark hold NUL bytes.
	const best = analyse(sample).find(({ name }) => !name.startsWith('UTF'));
	if (best && best.confidence >= CONFIDENCE_MIN) return best.name;
	throw new Error('not valid UTF-8, and no other encoding is likely: save it as UTF-8');
}

function decodeAs(encoding: string, bytes: Uint8Array): string {
	const text = tryDecode(encoding, bytes);
	if (text === null) throw new Error(`not valid ${encoding}`);
	if (BINARY.test(text)) throw new Error(`not text: read as ${encoding} it holds control characters`);
	return text;
}

/** Null when the bytes are not in this encoding. */
function tryDecode(encoding: string, bytes: Uint8Array): string | null {
	try {
		return decoderOf(encoding).decode(bytes);
	} catch (cause) {
		if (cause instanceof Error && 'code' in cause && cause.code === 'ERR_ENCODING_INVALID_ENCODED_DATA') return null;
		throw cause;
	}
}

function decoderOf(encoding: string) {
	try {
		return new TextDecoder(encoding, { fatal: true });
	} catch (cause) {
		throw new Error(`its encoding ${encoding} is not known`, { cause });
	}
}

function startsWith(bytes: Uint8Array, mark: readonly number[]): boolean {
	return bytes.length >= mark.length && mark.every((byte, at) => bytes[at] === byte);
}
