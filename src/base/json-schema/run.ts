import type { Resource } from './resources.ts';

/** Why a value does not satisfy a schema. */
export interface SchemaComplaint {
	/** JSON pointer of the part of the value; empty for the whole. */
	readonly instancePath: string;
	readonly message: string;
}

/** Resources that judging has entered, innermost first. */
export interface Scope {
	readonly resource: Resource;
	readonly outer: Scope | null;
}

/** A check of one value against one schema; `seen` gathers what of the value was looked at, where anybody asks. */
export type Judge = (value: unknown, run: Run, seen: Seen | null) => boolean;

/** More than these say nothing new, and a hostile value could hold a hundred thousand of them. */
const COMPLAINTS_MAX = 8;

/** Schemas applied to parts of one value; a schema whose choices multiply could otherwise take for ever. */
const STEPS_MAX = 2_000_000;

/** What one judgement knows on its way. */
export class Run {
	scope: Scope | null;
	complaints: SchemaComplaint[] = [];
	readonly #path: (string | number)[] = [];
	#steps = 0;

	constructor(scope: Scope | null) {
		this.scope = scope;
	}

	/** Throws RangeError when the judgement takes too long. */
	step(): void {
		if (++this.#steps > STEPS_MAX) throw new RangeError('too many steps');
	}

	enter(key: string | number): void {
		this.#path.push(key);
	}

	leave(): void {
		this.#path.pop();
	}

	/** Always false, for the caller to return. */
	complain(message: string): false {
		if (this.complaints.length < COMPLAINTS_MAX) this.complaints.push({ instancePath: pointerOf(this.#path), message });
		return false;
	}

	/** Forgets the complaints of a part that did not matter. */
	forget(since: number): void {
		this.complaints.length = Math.min(this.complaints.length, since);
	}
}

/** The members and items of one value that a schema has evaluated, for `unevaluatedProperties` and `unevaluatedItems`. */
export class Seen {
	readonly names = new Set<string>();
	readonly #items = new Set<number>();
	/** All items below. */
	#upTo = 0;

	upTo(count: number): void {
		this.#upTo = Math.max(this.#upTo, count);
	}

	item(at: number): void {
		this.#items.add(at);
	}

	hasItem(at: number): boolean {
		return at < this.#upTo || this.#items.has(at);
	}

	take(other: Seen): void {
		for (const name of other.names) this.names.add(name);
		for (const at of other.#items) this.#items.add(at);
		this.upTo(other.#upTo);
	}
}

export function pointerOf(path: readonly (string | number)[]): string {
	return path.map((key) => `/${String(key).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');
}
