import { PlimsollError } from '../spec/errors.ts';

/** A JSON object of a body, read member by member: each is read or refused by its name, and none is lost in silence. */
export class Members {
	readonly at: string;
	readonly #value: Readonly<Record<string, unknown>>;
	readonly #unread: Set<string>;

	/** @param at where it stands, such as `messages[0].content[1]`. Throws `request_invalid` for what is no object. */
	constructor(value: unknown, at: string) {
		if (typeof value !== 'object' || value === null || Array.isArray(value)) throw invalid(at, 'expected an object');
		this.at = at;
		this.#value = value as Readonly<Record<string, unknown>>;
		this.#unread = new Set(Object.keys(value));
	}

	/** Null for what is absent. */
	any(name: string): unknown {
		this.#unread.delete(name);
		return this.#value[name] ?? null;
	}

	text(name: string): string {
		return this.optionalText(name) ?? this.#missing(name, 'expected a text');
	}

	optionalText(name: string): string | null {
		return this.#typed(name, 'expected a text', (value) => typeof value === 'string');
	}

	optionalBoolean(name: string): boolean | null {
		return this.#typed(name, 'expected true or false', (value) => typeof value === 'boolean');
	}

	/** An object of JSON that goes on as it is. */
	object(name: string): Readonly<Record<string, unknown>> {
		const value = this.any(name);
		if (value === null) return this.#missing(name, 'expected an object');
		return new Members(value, this.#path(name)).#value;
	}

	members(name: string): Members {
		return new Members(this.any(name), this.#path(name));
	}

	optionalMembers(name: string): Members | null {
		const value = this.any(name);
		return value === null ? null : new Members(value, this.#path(name));
	}

	/** One of a few words. */
	word<W extends string>(name: string, words: readonly W[]): W {
		const value = this.any(name);
		const word = words.find((known) => known === value);
		return word ?? this.#missing(name, `expected ${words.join(' or ')}`);
	}

	/** Says that a member asks for something that cannot be done, unless it asks for nothing: null, false or an empty list. */
	refuse(name: string, why: string): void {
		const value = this.any(name);
		if (value === null || value === false || (Array.isArray(value) && value.length === 0)) return;
		throw unsupported(this.#path(name), why);
	}

	/** Refuses by name what was not read. */
	end(): void {
		for (const name of this.#unread) {
			if (this.#value[name] !== null) throw unsupported(this.#path(name), 'is not known here');
		}
	}

	#typed<T>(name: string, expected: string, is: (value: unknown) => boolean): T | null {
		const value = this.any(name);
		if (value === null || is(value)) return value as T | null;
		throw invalid(this.#path(name), expected);
	}

	#missing(name: string, expected: string): never {
		throw invalid(this.#path(name), expected);
	}

	#path(name: string): string {
		return this.at === '' ? name : `${this.at}.${name}`;
	}
}

function invalid(param: string, expected: string): PlimsollError {
	return new PlimsollError('request_invalid', `${param}: ${expected}.`, { param });
}

/** @param why continues the field's name: `is not known here`. */
export function unsupported(param: string, why: string): PlimsollError {
	return new PlimsollError('parameter_unsupported', `${param} ${why}; leave it out.`, { param });
}
