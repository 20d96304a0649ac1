/** An upstream that begins the answer anew is known by so much of it; less may be chance. */
const ECHO_CHARS_MIN = 16;

/**
 * Where the text of one upstream goes on in that of another. Who continues may repeat the space at the end, or everything
 * from the beginning: neither is shown twice.
 */
export class Seam {
	/** Nothing more is looked at. */
	closed = false;
	readonly #sent: string;
	readonly #spaces: string;
	#text = '';

	/** @param sent what the client has got. */
	constructor(sent: string) {
		this.#sent = sent;
		this.#spaces = sent.slice(beginningOf(sent).length);
	}

	/** What of a piece is new. Keeps it back while it may still be a repetition of what was sent. */
	join(piece: string, isLast: boolean): string {
		if (this.closed) return piece;
		this.#text += piece;
		const beginning = beginningOf(this.#sent);
		const mayEcho = beginning.length >= ECHO_CHARS_MIN;
		if (mayEcho && this.#text.startsWith(beginning)) return this.#close(this.#text.slice(beginning.length), isLast);
		if (mayEcho && !isLast && beginning.startsWith(this.#text)) return '';
		return this.#close(this.#text, isLast);
	}

	/** The spaces that end what was sent are not sent again. */
	#close(rest: string, isLast: boolean): string {
		let common = 0;
		while (common < this.#spaces.length && common < rest.length && rest[common] === this.#spaces[common]) common++;
		// More of the same spaces may follow.
		if (!isLast && common === rest.length && common < this.#spaces.length) return '';
		this.closed = true;
		return rest.slice(common);
	}
}

/** What another upstream is given to go on from: without spaces at its end, which some providers refuse. */
export function beginningOf(sent: string): string {
	return sent.trimEnd();
}
