import type { StoredResponse } from '../spec/idempotency.ts';

/** Status and headers of a response, as the gateway or whoever else writes it. */
export type ResponseHead = Pick<StoredResponse, 'status' | 'headers'>;

/** A client that a recorded response is delivered to. Methods must not throw; a client that has left ignores them. */
export interface Follower {
	/** A response that is complete already. */
	whole(head: ResponseHead, body: string): void;
	/** One that is still being made: its head, then its pieces as they come, then its end. */
	head(head: ResponseHead): void;
	piece(text: string): void;
	end(): void;
	/** It will not be completed. */
	cut(): void;
	/** Resolves when the client has room for more, or the signal aborts; undefined when it has room. */
	room(signal: AbortSignal): Promise<void> | undefined;
}

/**
 * A response while it is made, for any number of clients, each of which gets it from its beginning. Up to its cap nobody
 * waits for a slow client, since the pieces are kept anyway; beyond it they are not, and the slowest sets the pace.
 */
export class Recording {
	readonly #bytesMax: number;
	readonly #followers = new Set<Follower>();
	readonly #closed = Promise.withResolvers<void>();
	#head: ResponseHead | null = null;
	#pieces: string[] = [];
	#bytes = 0;
	#tail = '';
	#isAnnounced = false;
	#ending: 'whole' | 'broken' | null = null;
	readonly #abandoned: () => void;

	/** @param options.abandoned called when the response has passed its cap and nobody follows it: nobody can ever get it. */
	constructor(options: { bytesMax: number; abandoned: () => void }) {
		this.#bytesMax = options.bytesMax;
		this.#abandoned = options.abandoned;
	}

	/** Resolves when the last follower was told the end. */
	get closed(): Promise<void> {
		return this.#closed.promise;
	}

	get hasStarted(): boolean {
		return this.#head !== null;
	}

	/** Whether it has grown above its cap: then it can no longer be joined, nor kept. */
	get isOversized(): boolean {
		return this.#bytes > this.#bytesMax;
	}

	start(head: ResponseHead): void {
		this.#head = head;
	}

	/** Delivers a piece. Waits for room only above the cap. */
	write(text: string, signal: AbortSignal): Promise<void> | undefined {
		this.#announce();
		this.#count(text);
		for (const follower of this.#followers) follower.piece(text);
		if (!this.isOversized) return undefined;
		if (this.#followers.size === 0) this.#abandoned();
		const waits = [...this.#followers].flatMap((follower) => follower.room(signal) ?? []);
		return waits.length === 0 ? undefined : Promise.all(waits).then(() => undefined);
	}

	/** The last piece. It is held back until `close`, so that what a client has whole is on record. */
	finish(text: string): void {
		this.#tail = text;
		this.#bytes += Buffer.byteLength(text);
	}

	/** What is to be kept; null when it is too large. */
	stored(origin: StoredResponse['origin']): StoredResponse | null {
		if (this.#head === null || this.isOversized) return null;
		return { ...this.#head, body: this.#pieces.join('') + this.#tail, origin };
	}

	/** Tells every follower the end; one that was broken off is told so. */
	close(isBroken: boolean): void {
		this.#ending = isBroken ? 'broken' : 'whole';
		for (const follower of this.#followers) {
			if (isBroken || this.#head === null) follower.cut();
			else if (!this.#isAnnounced) follower.whole(this.#head, this.#tail);
			else {
				if (this.#tail !== '') follower.piece(this.#tail);
				follower.end();
			}
		}
		this.#followers.clear();
		this.#closed.resolve();
	}

	/** Delivers from the beginning, also when the end is reached already. */
	follow(follower: Follower): void {
		if (this.#ending !== null) {
			const isWhole = this.#ending === 'whole' && !this.isOversized;
			if (isWhole && this.#head !== null) follower.whole(this.#head, this.#pieces.join('') + this.#tail);
			else follower.cut();
			return;
		}
		this.#followers.add(follower);
		if (this.#head === null || !this.#isAnnounced) return;
		follower.head(this.#head);
		if (this.#pieces.length > 0) follower.piece(this.#pieces.join(''));
	}

	leave(follower: Follower): void {
		if (this.#followers.delete(follower) && this.isOversized && this.#followers.size === 0) this.#abandoned();
	}

	#announce(): void {
		if (this.#isAnnounced || this.#head === null) return;
		this.#isAnnounced = true;
		for (const follower of this.#followers) follower.head(this.#head);
	}

	#count(text: string): void {
		this.#bytes += Buffer.byteLength(text);
		if (this.isOversized) this.#pieces = [];
		else this.#pieces.push(text);
	}
}
