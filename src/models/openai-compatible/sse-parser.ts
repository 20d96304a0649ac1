import { StringDecoder } from 'node:string_decoder';

/** The most characters that one event may hold, its unfinished line included. */
const EVENT_CHARS_MAX = 16 * 1024 * 1024;

/** The bytes are not a server-sent event stream, or one event is larger than the cap. */
export class SseError extends Error {
	override readonly name = 'SseError';
}

/**
 * Server-sent events (WHATWG HTML, section 9.2), incremental and in linear time, for any split of the bytes. Two
 * departures, so that a damaged stream is noticed and a whole one is not lost: a line with an unknown field name is
 * an error, and `end` gives out an event that lacks its closing blank line.
 */
export class SseParser {
	readonly #decoder = new StringDecoder('utf8');
	readonly #emit: (data: string, event: string) => void;
	readonly #charsMax: number;
	/** The unfinished line. Grown by `+=`, searched never: only new text is, which keeps the whole linear. */
	#line = '';
	/** The data lines of the unfinished event; null when it has none. */
	#data: string | null = null;
	#event = '';
	#started = false;
	#afterCarriageReturn = false;

	/** @param emit called once for each event with data: the data lines joined by line feeds, and the event's name or ''. */
	constructor(emit: (data: string, event: string) => void, charsMax: number = EVENT_CHARS_MAX) {
		this.#emit = emit;
		this.#charsMax = charsMax;
	}

	/** Throws SseError. */
	push(bytes: Buffer): void {
		this.#text(this.#decoder.write(bytes));
	}

	/** The body is over: gives out what is complete but for its line end. Throws SseError. */
	end(): void {
		this.#text(this.#decoder.end());
		if (this.#line !== '') this.#endLine('');
		this.#dispatch();
	}

	#text(raw: string): void {
		let text = raw;
		if (text === '') return;
		if (!this.#started) {
			this.#started = true;
			if (text.charCodeAt(0) === 0xfeff) text = text.slice(1);
		}
		if (this.#afterCarriageReturn || text.includes('\r')) text = this.#lineFeeds(text);
		let start = 0;
		for (let end = text.indexOf('\n'); end !== -1; end = text.indexOf('\n', start)) {
			this.#endLine(start === end ? '' : text.slice(start, end));
			start = end + 1;
		}
		if (start < text.length) this.#line += start === 0 ? text : text.slice(start);
		this.#cap(0);
	}

	/** CR LF and CR alone become LF, also where a CR ends one chunk and its LF begins the next. */
	#lineFeeds(text: string): string {
		const rest = this.#afterCarriageReturn && text.charCodeAt(0) === 10 ? text.slice(1) : text;
		if (text !== '') this.#afterCarriageReturn = text.charCodeAt(text.length - 1) === 13;
		return rest.includes('\r') ? rest.replace(/\r\n?/g, '\n') : rest;
	}

	#endLine(tail: string): void {
		let line = tail;
		if (this.#line !== '') {
			line = this.#line + tail;
			this.#line = '';
		}
		if (line === '') this.#dispatch();
		else if (line.startsWith('data:')) this.#addData(value(line, 5));
		else if (line.charCodeAt(0) !== 58 /* a comment begins with a colon */) this.#field(line);
	}

	#addData(data: string): void {
		this.#cap(data.length);
		this.#data = this.#data === null ? data : `${this.#data}\n${data}`;
	}

	#field(line: string): void {
		if (line.startsWith('event:')) this.#event = value(line, 6);
		else if (line === 'data') this.#addData('');
		else if (!/^(?:id|retry|event)(?::|$)/.test(line)) {
			throw new SseError(`a line of the event stream is not a field of one: "${line.slice(0, 200)}"`);
		}
	}

	#dispatch(): void {
		const data = this.#data;
		const event = this.#event;
		this.#data = null;
		this.#event = '';
		if (data !== null && data !== '') this.#emit(data, event);
	}

	#cap(more: number): void {
		if (this.#line.length + (this.#data?.length ?? 0) + more > this.#charsMax) {
			throw new SseError(`one event of the stream is larger than ${this.#charsMax} characters`);
		}
	}
}

function value(line: string, colonEnd: number): string {
	return line.charCodeAt(colonEnd) === 32 ? line.slice(colonEnd + 1) : line.slice(colonEnd);
}
