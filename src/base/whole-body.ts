/** A body whole; null, and what sends it is told to stop, when it has more bytes than it may. */
export async function wholeBody(body: AsyncIterable<Uint8Array>, bytesMax: number): Promise<Buffer | null> {
	const blocks: Uint8Array[] = [];
	let bytes = 0;
	for await (const block of body) {
		bytes += block.byteLength;
		if (bytes > bytesMax) return null;
		blocks.push(block);
	}
	return Buffer.concat(blocks);
}
