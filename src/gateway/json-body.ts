import { z } from 'zod';
import { PlimsollError } from '../spec/errors.ts';

/** Deeper bodies are refused before they are parsed: recursion over them would exhaust the stack. */
const DEPTH_MAX = 64;

/** A member that code which copies objects could take for their prototype, also when it is written with escapes. */
const PROTOTYPE_MEMBER = new RegExp(`"${[...'__proto__'].map(orEscaped).join('')}"\\s*:`);

/** A compressed body would only look like broken JSON. Throws `request_invalid`. */
export function refuseEncoded(contentEncoding: string | undefined): void {
	if (contentEncoding === undefined || contentEncoding === 'identity') return;
	throw new PlimsollError('request_invalid', 'A body with a content-encoding is not taken; send it as plain JSON.');
}

/**
 * Parses a JSON body. Throws `request_invalid` with the place of the fault, or `body_too_large` for one too deep.
 * @param valuesMax beyond it a body is too large as well: many small values take ten times the memory of their text.
 */
export function parseJsonBody(text: string, valuesMax = Number.POSITIVE_INFINITY): unknown {
	if (text.trim() === '') throw emptyBody();
	const { depth, values } = shapeOf(text);
	if (depth > DEPTH_MAX) {
		throw new PlimsollError('body_too_large', `The body is nested deeper than ${DEPTH_MAX} levels.`);
	}
	if (values > valuesMax) {
		throw new PlimsollError('body_too_large', `The body has more than ${valuesMax} values; send fewer at once.`);
	}
	if (PROTOTYPE_MEMBER.test(text)) {
		throw new PlimsollError('request_invalid', 'The body has a member named __proto__, which no parameter is.');
	}
	try {
		return JSON.parse(text);
	} catch (thrown) {
		const why = thrown instanceof SyntaxError ? thrown.message.replace(/, ".*$/s, '') : 'unreadable';
		throw new PlimsollError('request_invalid', `The body is not valid JSON: ${why}.`, { cause: thrown });
	}
}

/** Checks a parsed body against its schema. Throws `request_invalid` naming the first field at fault. */
export function checkBody<T extends z.ZodType>(schema: T, body: unknown): z.output<T> {
	if (body === undefined) throw emptyBody();
	const result = schema.safeParse(body);
	if (result.success) return result.data;
	const issue = result.error.issues[0];
	if (issue?.code === 'unrecognized_keys') {
		const param = dotted([...issue.path, issue.keys[0] ?? '']);
		throw new PlimsollError('request_invalid', `${param} is not known here; leave it out.`, { param });
	}
	const param = issue ? dotted(issue.path) : null;
	const message = `${param ? `${param}: ` : ''}${issue?.message ?? 'The body is not valid'}.`;
	throw new PlimsollError('request_invalid', message, param ? { param } : {});
}

/** A whole number that a query writes. */
export function queryNumber(min: number, max: number): z.ZodType<number> {
	const expected = `expected a whole number from ${min} to ${max}`;
	return z.coerce.number(expected).int(expected).min(min, expected).max(max, expected);
}

function emptyBody(): PlimsollError {
	return new PlimsollError('request_invalid', 'The body is empty; a JSON object was expected.');
}

function dotted(path: readonly PropertyKey[]): string {
	return path
		.map((key) => (typeof key === 'number' ? `[${key}]` : `.${String(key)}`))
		.join('')
		.replace(/^\./, '');
}

function orEscaped(letter: string): string {
	const code = letter.charCodeAt(0).toString(16).padStart(4, '0');
	const escaped = code.replace(/[a-f]/g, (digit) => `[${digit}${digit.toUpperCase()}]`);
	return `(?:${letter}|\\\\u${escaped})`;
}

/** Deepest nesting of brackets outside strings, and how many values there are at most. */
function shapeOf(text: string): { depth: number; values: number } {
	let depth = 0;
	let deepest = 0;
	let values = 1;
	for (let i = 0; i < text.length; i++) {
		switch (text.charCodeAt(i)) {
			case 0x22:
				i = endOfString(text, i);
				break;
			case 0x7b:
			case 0x5b:
				if (++depth > deepest) deepest = depth;
				values++;
				break;
			case 0x2c:
				values++;
				break;
			case 0x7d:
			case 0x5d:
				depth--;
				break;
		}
	}
	return { depth: deepest, values };
}

/** Index of the quote that ends the string which begins at `start`, or the text's end. */
function endOfString(text: string, start: number): number {
	for (let end = text.indexOf('"', start + 1); end !== -1; end = text.indexOf('"', end + 1)) {
		let slashes = 0;
		while (text.charCodeAt(end - 1 - slashes) === 0x5c) slashes++;
		if (slashes % 2 === 0) return end;
	}
	return text.length;
}
