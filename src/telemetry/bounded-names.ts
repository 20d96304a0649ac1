import { NONE, OTHER } from '../spec/names.ts';

/** The names that a label may have: the first so many; later ones share one, so that no label grows without end. */
export class BoundedNames {
	readonly #max: number;
	readonly #names = new Set<string>();

	constructor(max: number) {
		this.#max = max;
	}

	/** What stands for a name, or for the lack of one. */
	of(name: string | null): string {
		if (name === null) return NONE;
		// What shares this name already takes no place of its own.
		if (name === OTHER || this.#names.has(name)) return name;
		if (this.#names.size >= this.#max) return OTHER;
		this.#names.add(name);
		return name;
	}
}
