import { once } from 'node:events';
import { stripVTControlCharacters, styleText } from 'node:util';

type Style = Parameters<typeof styleText>[0];

/** Where a command speaks: results on stdout, everything about them on stderr. */
export class Terminal {
	/** Set when the command was asked for JSON: stdout then carries nothing else. */
	json = false;
	readonly #out: NodeJS.WriteStream;
	readonly #err: NodeJS.WriteStream;

	constructor(out: NodeJS.WriteStream, err: NodeJS.WriteStream) {
		this.#out = out;
		this.#err = err;
	}

	/** Whether a person watches stderr, so that a line may be drawn over. */
	get watched(): boolean {
		return this.#err.isTTY === true;
	}

	/** Columns of the terminal that results go to. */
	get columns(): number {
		// A terminal of unknown size says 0.
		return this.#out.columns || this.#err.columns || 100;
	}

	get colours(): boolean {
		return this.paint('bold', 'x') !== 'x';
	}

	/** Writes a result as it is. Resolves when there is room for more. */
	async write(text: string): Promise<void> {
		if (!this.#out.write(text)) await once(this.#out, 'drain');
	}

	/** A line of a result for people. */
	line(text = ''): void {
		this.#out.write(`${text}\n`);
	}

	/** One JSON document, or one of many. */
	record(value: unknown): void {
		this.#out.write(`${JSON.stringify(value)}\n`);
	}

	/** A line about what happens. */
	note(text: string): void {
		this.#err.write(`${text}\n`);
	}

	/** Draws over the current line of stderr; an empty text clears it. Only for a watched one. */
	redraw(text: string): void {
		this.#err.write(`\r\u001b[K${text}`);
	}

	/** Colours a result's text, in a terminal and without NO_COLOR. */
	paint(style: Style, text: string): string {
		return styleText(style, text, { stream: this.#out });
	}

	/** The same for what goes to stderr. */
	paintNote(style: Style, text: string): string {
		return styleText(style, text, { stream: this.#err });
	}

	/** Resolves when everything written so far has left the process. */
	async flush(): Promise<void> {
		await Promise.all(
			[this.#out, this.#err].map((stream) => new Promise<void>((resolve) => stream.write('', () => resolve()))),
		);
	}
}

/** Text from documents, models and clients as a terminal may show it: it must not move the cursor or speak in our name. */
export function plain(text: string): string {
	return stripVTControlCharacters(text).replace(/\p{Cc}/gu, (char) => (char === '\n' || char === '\t' ? char : ''));
}

/** The same on one line. */
export function oneLine(text: string): string {
	return plain(text).replace(/\s+/g, ' ').trim();
}

/** At most `width` characters, with an ellipsis where something was cut. */
export function cut(text: string, width: number): string {
	const characters = [...text];
	return characters.length <= width ? text : `${characters.slice(0, Math.max(0, width - 1)).join('')}…`;
}
