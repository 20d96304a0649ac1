import type { FastifyReply } from 'fastify';
import type { Follower, ResponseHead } from '../runtime/recording.ts';
import { roomIn } from './outlet.ts';

/** The client of one request, as a recorded response is delivered to it. */
export class ClientFollower implements Follower {
	readonly #reply: FastifyReply;
	readonly #headers: () => Readonly<Record<string, string>>;

	/** @param headers those of the request itself, which are not recorded: its id, its limits. */
	constructor(reply: FastifyReply, headers: () => Readonly<Record<string, string>>) {
		this.#reply = reply;
		this.#headers = headers;
	}

	whole({ status, headers }: ResponseHead, body: string): void {
		if (this.#hasLeft()) return;
		const length = { 'content-length': String(Buffer.byteLength(body)) };
		this.#reply.raw.writeHead(status, { ...this.#headers(), ...headers, ...length });
		this.#reply.raw.end(body);
	}

	head({ status, headers }: ResponseHead): void {
		if (this.#hasLeft()) return;
		this.#reply.raw.writeHead(status, { ...this.#headers(), ...headers });
	}

	piece(text: string): void {
		if (!this.#hasLeft()) this.#reply.raw.write(text);
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
