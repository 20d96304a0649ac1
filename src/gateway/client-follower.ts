import type { FastifyReply } from 'fastify';
import type { HeldBytes } from '../runtime/buffered-bytes.ts';
import type { Follower, ResponseHead } from '../runtime/recording.ts';
import { roomIn } from './outlet.ts';

/** The client of one request, as a recorded response is delivered to it. */
export class ClientFollower implements Follower {
	readonly #reply: FastifyReply;
	readonly #headers: () => Readonly<Record<string, string>>;
	readonly #held: HeldBytes | null;
	#unsentBytes = 0;

	/**
	 * @param options.headers those of the request itself, which are not recorded: its id, its limits.
	 * @param options.held where what the client does not take is counted.
	 */
	constructor(
		reply: FastifyReply,
		options: { headers: () => Readonly<Record<string, string>>; held: HeldBytes | null },
	) {
		this.#reply = reply;
		this.#headers = options.headers;
		this.#held = options.held;
	}

	whole({ status, headers }: ResponseHead, body: string): void {
		if (this.#hasLeft()) return;
		const length = { 'content-length': String(Buffer.byteLength(body)) };
		this.#reply.raw.writeHead(status, { ...this.#headers(), ...headers, ...length });
		this.#reply.raw.end(body);
		this.#count();
	}

	head({ status, headers }: ResponseHead): void {
		if (this.#hasLeft()) return;
		this.#reply.raw.writeHead(status, { ...this.#headers(), ...headers });
	}

	piece(text: string): void {
		if (this.#hasLeft()) return;
		this.#reply.raw.write(text);
		this.#count();
	}

	end(): void {
		if (!this.#hasLeft()) this.#reply.raw.end();
	}

	cut(): void {
		this.#reply.hijack();
		this.#reply.raw.destroy();
	}

	room(signal: AbortSignal): Promise<void> | undefined {
		const { raw } = this.#reply;
		return raw.destroyed || !raw.writableNeedDrain ? undefined : roomOrGone(raw, signal);
	}

	/** Nobody waits for a slow client, so that one for whom there is no room is cut off. */
	#count(): void {
		const { raw } = this.#reply;
		const { writableLength } = raw;
		try {
			this.#held?.grow(writableLength - this.#unsentBytes);
			this.#unsentBytes = writableLength;
		} catch {
			raw.destroy();
		}
	}

	/** From the first delivery on the response is ours to end, and Fastify's no more. */
	#hasLeft(): boolean {
		this.#reply.hijack();
		return this.#reply.raw.destroyed;
	}
}

/** A client that leaves takes its want of room with it. */
async function roomOrGone(response: FastifyReply['raw'], signal: AbortSignal): Promise<void> {
	const gone = new AbortController();
	const leave = () => gone.abort();
	response.once('close', leave);
	try {
		await roomIn(response, AbortSignal.any([signal, gone.signal]));
	} finally {
		response.off('close', leave);
	}
}
