import { type Handler, Parser, type ParserOptions } from 'htmlparser2';

/** Elements that lie deeper are read as if they held nothing and their text came after them; browsers do so from 512 on. */
const DEPTH_MAX = 1_024;

/**
 * htmlparser2 with a bounded stack. It looks through and moves all of its own for each tag, so that a page of a million nested
 * elements would take it hours.
 */
export class ShallowParser extends Parser {
	#depth = 0;
	/** Whether the element whose tag is being read stays off the stack; null between tags. */
	#isFlat: boolean | null = null;
	#readsClosingTag = false;
	#closesFlat = false;

	constructor(handler: Pick<Handler, 'onopentag' | 'onclosetag' | 'ontext'>, options: ParserOptions) {
		const onclosetag: Handler['onclosetag'] = (name, isImplied) => {
			if (this.#closesFlat) this.#closesFlat = false;
			else if (!super.isVoidElement(name)) this.#depth--;
			handler.onclosetag(name, isImplied);
		};
		super({ ...handler, onclosetag }, options);
	}

	override onclosetag(start: number, endIndex: number): void {
		this.#readsClosingTag = true;
		super.onclosetag(start, endIndex);
		this.#readsClosingTag = false;
	}

	/** Asked once for a closing tag, and at the beginning and at the end of an opening one; of a form in a form, whose name is then empty, at the end alone. */
	protected override isVoidElement(name: string): boolean {
		if (name === '' || super.isVoidElement(name)) return name !== '';
		if (this.#readsClosingTag) {
			this.#readsClosingTag = false;
			return false;
		}
		if (this.#isFlat === null) {
			this.#isFlat = this.#depth >= DEPTH_MAX;
			if (!this.#isFlat) this.#depth++;
			return this.#isFlat;
		}
		this.#closesFlat = this.#isFlat;
		this.#isFlat = null;
		return this.#closesFlat;
	}
}
