import { PlimsollError } from '../spec/errors.ts';

/** What a request takes beside its texts: sockets, context, trace. It bounds how many can be inside at all. */
const REQUEST_BYTES = 8_192;
/**
 * A tenant may hold so many times what is free (Choudhury and Hahne, "Dynamic queue length thresholds for shared-memory
 * packet switches", 1998): alone it gets four fifths, and whoever comes next always finds room.
 */
const SHARE_OF_FREE = 4;

const RETRY_AFTER_MS = 1_000;

/** Counts what is held in memory for requests, and refuses what would pass the cap. */
export class BufferedBytes {
	readonly #tenants = new Map<string, number>();
	#held = 0;
	max: number;

	constructor(max: number) {
		this.max = max;
	}

	get held(): number {
		return this.#held;
	}

	/** What one request holds. Throws `overloaded` when not even a small one fits. */
	open(tenantId: string): HeldBytes {
		const held = new HeldBytes(this, tenantId);
		held.take(REQUEST_BYTES);
		return held;
	}

	/** Whether a tenant may take so much more. */
	fits(tenantId: string, bytes: number): boolean {
		const own = this.#tenants.get(tenantId) ?? 0;
		return own + bytes <= SHARE_OF_FREE * (this.max - this.#held) && this.#held + bytes <= this.max;
	}

	/** @param bytes negative: given back. */
	count(tenantId: string, bytes: number): void {
		this.#held += bytes;
		const own = (this.#tenants.get(tenantId) ?? 0) + bytes;
		if (own > 0) this.#tenants.set(tenantId, own);
		else this.#tenants.delete(tenantId);
	}
}

/** The part of one request, until it has ended and whoever shares it needs it no more. */
export class HeldBytes {
	readonly #all: BufferedBytes;
	readonly #tenantId: string;
	#bytes = 0;
	#holders = 1;

	constructor(all: BufferedBytes, tenantId: string) {
		this.#all = all;
		this.#tenantId = tenantId;
	}

	/** Before something is taken in. Throws `overloaded` when the tenant has its share. */
	take(bytes: number): void {
		if (!this.#all.fits(this.#tenantId, bytes)) throw full();
		this.add(bytes);
	}

	/** Throws `overloaded` where so much more would pass the cap. */
	requireRoom(bytes: number): void {
		if (bytes > 0 && this.#all.held + bytes > this.#all.max) throw full();
	}

	/** For an answer that is on its way: only the cap itself stops it. Throws `overloaded`; negative: what is gone again. */
	grow(bytes: number): void {
		this.requireRoom(bytes);
		this.add(bytes);
	}

	/** What is there already, and cannot be refused any more; negative: what is gone again. */
	add(bytes: number): void {
		if (this.#holders === 0) return;
		this.#bytes += bytes;
		this.#all.count(this.#tenantId, bytes);
	}

	/** One more that has to close it: what is written for a request outlives it. */
	share(): void {
		if (this.#holders > 0) this.#holders++;
	}

	/** Gives everything back when the last one closes it. */
	close(): void {
		if (this.#holders === 1) this.add(-this.#bytes);
		if (this.#holders > 0) this.#holders--;
	}
}

function full(): PlimsollError {
	return new PlimsollError('overloaded', 'The server holds as much in memory as server.buffered_bytes_max allows.', {
		retryAfterMs: RETRY_AFTER_MS,
	});
}
