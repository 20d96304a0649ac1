interface Citations<P> {
	/** The passages that the answer names, each once, in the order in which it names them first. */
	readonly cited: readonly { readonly number: number; readonly passage: P }[];
	/** Numbers that name no passage, each once; the first 16 of them. */
	readonly unknown: readonly number[];
}

const UNKNOWN_MAX = 16;
/** `[1]` or `[1, 2]` in prose. Fenced blocks and code spans come first, because `items[0]` in them cites nothing. */
const MARKER = /```[\s\S]*?(?:```|$)|`[^`\n]*`|\[(\d+(?:\s*,\s*\d+)*)\]/g;

/** Finds the citations of an answer: `[n]` names the n-th passage of the prompt. In a JSON answer, strings hold them. */
export function parseCitations<P>(answer: string, passages: readonly P[]): Citations<P> {
	const cited = new Map<number, P>();
	const unknown = new Set<number>();
	for (const text of prose(answer)) {
		for (const [, numbers] of text.matchAll(MARKER)) {
			for (const digits of numbers?.split(',') ?? []) {
				const number = Number(digits);
				const passage = passages[number - 1];
				if (passage) cited.set(number, passage);
				else if (unknown.size < UNKNOWN_MAX) unknown.add(number);
			}
		}
	}
	return { cited: [...cited].map(([number, passage]) => ({ number, passage })), unknown: [...unknown] };
}

/** A list of numbers in JSON is not a list of citations. */
function prose(answer: string): readonly string[] {
	if (!/^\s*(?:\{|\[\s*[{["])/.test(answer)) return [answer];
	let value: unknown;
	try {
		value = JSON.parse(answer);
	} catch {
		return [answer];
	}
	return strings(value);
}

/** Every string of a JSON value, without recursion: an answer may be nested as deep as it is long. */
function strings(value: unknown): readonly string[] {
	const found: string[] = [];
	const open: unknown[] = [value];
	while (open.length > 0) {
		const next = open.pop();
		if (typeof next === 'string') found.push(next);
		else if (typeof next === 'object' && next !== null) {
			for (const member of Object.values(next).reverse()) open.push(member);
		}
	}
	return found;
}
