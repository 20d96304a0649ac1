export type JsonPath = readonly (string | number)[];

/** The text so far is not the beginning of one JSON value. */
export class PartialJsonError extends Error {
	override readonly name = 'PartialJsonError';
}

interface Frame {
	readonly value: Record<string, unknown> | unknown[];
	/** Of the member that is read now. */
	key: string | number;
}

type State =
	| 'value'
	| 'first_value'
	| 'key'
	| 'first_key'
	| 'colon'
	| 'comma'
	| 'string'
	| 'key_string'
	| 'literal'
	| 'done';

const DEPTH_MAX = 64;
const LITERAL_CHARS_MAX = 400;

/**
 * Reads one JSON value (RFC 8259) as its text arrives, in linear time for any split of it, and gives out each value when it is
 * complete: members before what holds them.
 */
export class PartialJson {
	readonly #emit: (path: JsonPath, value: unknown) => void;
	readonly #frames: Frame[] = [];
	#state: State = 'value';
	/** The unfinished string, with its escapes, or literal. */
	#token = '';
	#isEscaped = false;

	/** @param emit what it throws leaves `push`. */
	constructor(emit: (path: JsonPath, value: unknown) => void) {
		this.#emit = emit;
	}

	/** Throws PartialJsonError as soon as no further text could make the whole valid. */
	push(text: string): void {
		for (let at = 0; at < text.length; ) at = this.#step(text, at);
	}

	/** Reads on from `at`; returns how far. */
	#step(text: string, at: number): number {
		if (this.#state === 'string' || this.#state === 'key_string') return this.#string(text, at);
		if (this.#state === 'literal') return this.#literal(text, at);
		const char = text[at] as string;
		if (char === ' ' || char === '\n' || char === '\r' || char === '\t') return at + 1;
		return this.#structure(char) ? at + 1 : at;
	}

	/** False: the character is read again, as the first of a literal. */
	#structure(char: string): boolean {
		const state = this.#state;
		if (char === '"' && (state === 'key' || state === 'first_key')) this.#state = 'key_string';
		else if (char === '}' && (state === 'first_key' || (state === 'comma' && !this.#inList()))) this.#close();
		else if (char === ']' && (state === 'first_value' || (state === 'comma' && this.#inList()))) this.#close();
		else if (char === ':' && state === 'colon') this.#state = 'value';
		else if (char === ',' && state === 'comma') this.#next();
		else if (state !== 'value' && state !== 'first_value') throw new PartialJsonError(unexpected(state));
		else if (char === '"') this.#state = 'string';
		else if (char === '{') this.#open({}, 'first_key');
		else if (char === '[') this.#open([], 'first_value');
		else {
			this.#state = 'literal';
			return false;
		}
		return true;
	}

	#string(text: string, start: number): number {
		let at = start;
		for (; at < text.length; at++) {
			const code = text.charCodeAt(at);
			if (this.#isEscaped) this.#isEscaped = false;
			else if (code === 92) this.#isEscaped = true;
			else if (code === 34) break;
		}
		this.#token += text.slice(start, at);
		if (at === text.length) return at;
		const value = this.#parsed(`"${this.#token}"`) as string;
		const isKey = this.#state === 'key_string';
		if (!isKey) this.#complete(value);
		else {
			(this.#frames.at(-1) as Frame).key = value;
			this.#state = 'colon';
		}
		return at + 1;
	}

	#literal(text: string, start: number): number {
		let at = start;
		while (at < text.length && /[-+.\w]/.test(text[at] as string)) at++;
		this.#token += text.slice(start, at);
		if (this.#token.length > LITERAL_CHARS_MAX) throw new PartialJsonError('a number is too long');
		if (this.#token === '' || !couldBe(this.#token)) throw new PartialJsonError('a value is not one of JSON');
		// At the very end only the end says that a number is over.
		if (at < text.length) this.#complete(this.#parsed(this.#token));
		return at;
	}

	#parsed(token: string): unknown {
		this.#token = '';
		try {
			return JSON.parse(token) as unknown;
		} catch {
			throw new PartialJsonError('a value is not one of JSON');
		}
	}

	#open(value: Frame['value'], state: State): void {
		if (this.#frames.length === DEPTH_MAX) throw new PartialJsonError(`it is nested deeper than ${DEPTH_MAX} levels`);
		this.#frames.push({ value, key: 0 });
		this.#state = state;
	}

	#close(): void {
		this.#complete((this.#frames.pop() as Frame).value);
	}

	#next(): void {
		const frame = this.#frames.at(-1) as Frame;
		this.#state = this.#inList() ? 'value' : 'key';
		if (typeof frame.key === 'number') frame.key++;
	}

	#complete(value: unknown): void {
		const frame = this.#frames.at(-1);
		this.#state = frame ? 'comma' : 'done';
		if (frame) {
			// Also for a member named __proto__.
			const member = { value, writable: true, enumerable: true, configurable: true };
			Object.defineProperty(frame.value, frame.key, member);
		}
		this.#emit(
			this.#frames.map(({ key }) => key),
			value,
		);
	}

	#inList(): boolean {
		return Array.isArray(this.#frames.at(-1)?.value);
	}
}

const WORDS = ['true', 'false', 'null'];

/** Whether a literal can still become one. */
function couldBe(token: string): boolean {
	return (
		WORDS.some((word) => word.startsWith(token)) ||
		/^-?(?:0|[1-9]\d*)?(?:(?<=\d)\.\d*)?(?:(?<=\d)[eE][-+]?\d*)?$/.test(token)
	);
}

function unexpected(state: State): string {
	switch (state) {
		case 'done':
			return 'something follows the JSON value';
		case 'colon':
			return 'a colon is missing';
		case 'comma':
			return 'a comma or a bracket is missing';
		default:
			return 'a member has no name in quotes';
	}
}
