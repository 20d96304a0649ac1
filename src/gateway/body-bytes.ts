import type { IncomingHttpHeaders } from 'node:http';
import type { Readable } from 'node:stream';
import type { HeldBytes } from '../runtime/buffered-bytes.ts';

/**
 * Counts a body among what is held in memory: by the length that it declares, before any of it is read, or piece by piece
 * as it arrives. Throws `overloaded`, or fails the body with it.
 */
export function countBody(
	held: HeldBytes,
	body: { readonly headers: IncomingHttpHeaders; readonly payload: Readable },
	bytesMax: number,
): void {
	const declared = Number(body.headers['content-length']);
	// What is above the cap is refused for that, and never read.
	if (declared >= 0) {
		held.take(Math.min(declared, bytesMax));
		return;
	}
	const count = (chunk: Buffer | string) => {
		try {
			held.take(Buffer.byteLength(chunk));
		} catch (thrown) {
			body.payload.off('data', count);
			// Fastify answers whatever fails its body; destroying it would close the socket before the answer.
			body.payload.emit('error', thrown);
		}
	};
	body.payload.on('data', count);
}
