import { jsonrepair } from 'jsonrepair';

/** JSON that was made of a text. */
export interface RepairedJson {
	readonly text: string;
	/** What stood around it was taken off, or its syntax was repaired. */
	readonly how: 'unwrapped' | 'syntax';
}

/** Longer text is not repaired: the work grows with its square, and this much takes 20 ms at worst. */
const REPAIR_CHARS_MAX = 16_384;

/**
 * JSON from an answer that is not: what stands around it is taken off, and its syntax repaired. Null when there is none, or
 * when the repair would have to guess what is missing: an answer that broke off is not made whole, nor one that elides a part.
 */
export function repairJson(answer: string): RepairedJson | null {
	const text = answer.trim();
	const fenced = insideFence(text);
	const core = fenced ?? text;
	if (isJson(core)) return fenced === null ? null : { text: core, how: 'unwrapped' };
	const found = betweenBrackets(core);
	if (found !== core && isJson(found)) return { text: found, how: 'unwrapped' };
	if (core.length > REPAIR_CHARS_MAX || !/^[{[]/.test(core) || isBrokenOff(core)) return null;
	const repaired = repairedSyntax(core);
	return repaired === null ? null : { text: repaired, how: 'syntax' };
}

/** The only fenced block of a text; null when it has none, or several. */
function insideFence(text: string): string | null {
	const [, block, ...more] = text.split('```');
	if (block === undefined || more.length !== 1) return null;
	return block.replace(/^[\w+-]*[ \t]*\r?\n?/, '').trim();
}

function betweenBrackets(text: string): string {
	const start = text.search(/[{[]/);
	const end = Math.max(text.lastIndexOf('}'), text.lastIndexOf(']'));
	return start === -1 || end < start ? text : text.slice(start, end + 1);
}

function repairedSyntax(text: string): string | null {
	let repaired: string;
	try {
		repaired = jsonrepair(text);
	} catch {
		// Beyond repair, or nested too deeply for it.
		return null;
	}
	const isElided = count(repaired, /\.{3}|…/g) < count(text, /\.{3}|…/g);
	return isElided || !isJson(repaired) ? null : repaired;
}

/** Whether a string or a bracket is open at the end: brackets in strings close nothing. Where it cannot be told, it is. */
function isBrokenOff(text: string): boolean {
	let quote: string | null = null;
	let depth = 0;
	let before = '';
	for (let at = 0; at < text.length; at++) {
		const char = text.charAt(at);
		if (quote !== null) {
			if (char === '\\') at++;
			else if (char === quote) quote = null;
			continue;
		}
		// An apostrophe opens a string only where a value or a name may begin.
		if (char === '"' || (char === "'" && '{[,:'.includes(before))) quote = char;
		else if (char === '{' || char === '[') depth++;
		else if (char === '}' || char === ']') depth--;
		if (char.trim() !== '') before = char;
	}
	return quote !== null || depth > 0;
}

function count(text: string, pattern: RegExp): number {
	return text.match(pattern)?.length ?? 0;
}

function isJson(text: string): boolean {
	try {
		JSON.parse(text);
		return true;
	} catch {
		return false;
	}
}
