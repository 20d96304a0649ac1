/** Lines kept: enough to see how a failure came about, whatever the length of the run. */
const LINES_MAX = 2_000;
const FNV_PRIME = 0x01000193;

interface Line {
	readonly text: string;
	/** The request that it is about; null: none. */
	readonly request: number | null;
}

/** What happened lately, in words, and a digest of all that ever happened: two runs with one digest were the same run. */
export class Trail {
	readonly #lines: Line[] = [];
	#next = 0;
	#digest = 0x811c9dc5;

	add(text: string, request: number | null): void {
		this.#lines[this.#next] = { text, request };
		this.#next = (this.#next + 1) % LINES_MAX;
		let digest = this.#digest;
		for (let at = 0; at < text.length; at++) digest = Math.imul(digest ^ text.charCodeAt(at), FNV_PRIME);
		this.#digest = digest;
	}

	get digest(): string {
		return (this.#digest >>> 0).toString(16).padStart(8, '0');
	}

	/** The last `count` lines, and before them all that is known of one request. */
	last(count: number, request: number | null): readonly string[] {
		const ordered = [...this.#lines.slice(this.#next), ...this.#lines.slice(0, this.#next)];
		const early = ordered.slice(0, -count).filter((line) => request !== null && line.request === request);
		return [...early, ...ordered.slice(-count)].map(({ text }) => text);
	}
}
