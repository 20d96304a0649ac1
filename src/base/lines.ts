/** One line of a text stream. */
export interface Line {
	/** 1-based. */
	readonly number: number;
	/** Without its line feed; null when it was longer than the cap and was skipped. */
	readonly bytes: Buffer | null;
}

/** Splits a byte stream at line feeds, keeping at most one line of at most `bytesMax` bytes in memory. */
export async function* readLines(blocks: AsyncIterable<unknown>, bytesMax: number): AsyncGenerator<Line> {
	let parts: Buffer[] = [];
	let length = 0;
	let number = 1;
	const take = (): Line => {
		const line = { number, bytes: length > bytesMax ? null : Buffer.concat(parts) };
		parts = [];
		length = 0;
		number++;
		return line;
	};
	const keep = (part: Buffer) => {
		length += part.length;
		if (length <= bytesMax) parts.push(part);
		else parts = [];
	};
	for await (const data of blocks) {
		const block = Buffer.isBuffer(data) ? data : Buffer.from(String(data));
		let start = 0;
		for (let end = block.indexOf(10); end >= 0; end = block.indexOf(10, start)) {
			keep(block.subarray(start, end));
			yield take();
			start = end + 1;
		}
		keep(block.subarray(start));
	}
	if (length > 0) yield take();
}
