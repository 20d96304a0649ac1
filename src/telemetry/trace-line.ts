import { type Members, objectOf, TRACE } from './trace-columns.ts';

/** More than any trace has: it holds no prompt and no answer. */
const TRACE_CHARS_MAX = 1024 * 1024;
/** No line takes more bytes: a UTF-16 unit takes at most three in UTF-8. */
export const LINE_BYTES_MAX = 3 * TRACE_CHARS_MAX;

const WHOLE_TRACE = new RegExp(`^${objectOf(TRACE)}$`);

/**
 * One trace as a line that DuckDB's JSON reader takes exactly. That reader makes 7 a text and '7' a number in silence, so
 * types are checked here; matching the text costs a tenth of parsing it.
 * @param text from JSON.stringify. Throws TypeError or RangeError when it is not of a trace.
 */
export function traceLine(text: string): string {
	if (text.length > TRACE_CHARS_MAX) {
		throw new RangeError(`it has ${text.length} characters, of ${TRACE_CHARS_MAX} at most`);
	}
	return WHOLE_TRACE.test(text) ? text : rebuilt(JSON.parse(withoutLoneSurrogates(text)), TRACE);
}

/** JSON.stringify escapes lone surrogates and no others. They stand for no character: U+FFFD takes their place. */
function withoutLoneSurrogates(text: string): string {
	return text.replace(/\\(?:u[dD][0-9a-fA-F]{3}|.)/g, (found) => (/^\\u[dD]/.test(found) ? '\uFFFD' : found));
}

/** The members that are stored, in their order. */
function rebuilt(value: unknown, members: Members): string {
	if (!isObject(value)) throw new TypeError(`expected an object, got ${shown(value)}`);
	const parts = Object.entries(members).map(([name, column]) => {
		const member = value[name];
		if (column.members && Array.isArray(member)) {
			const of = column.members;
			return `"${name}":[${member.map((item) => rebuilt(item, of)).join(',')}]`;
		}
		const text = shown(member);
		if (new RegExp(`^${column.pattern}$`).test(text)) return `"${name}":${text}`;
		const type = column.members ? 'a list' : column.type;
		throw new TypeError(`${name}: expected ${type}, got ${text.slice(0, 40)}`);
	});
	return `{${parts.join(',')}}`;
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
	return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function shown(value: unknown): string {
	return value === undefined ? 'nothing' : JSON.stringify(value);
}
