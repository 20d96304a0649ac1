import { draining } from './queue-refusal.ts';

/** Who is inside, from the moment a caller is known to the end of its request. */
export class Door {
	#inside = 0;
	#closed = false;
	readonly #tenants = new Map<string, number>();
	readonly #empty = Promise.withResolvers<void>();

	get closed(): boolean {
		return this.#closed;
	}

	get inside(): number {
		return this.#inside;
	}

	/** How many requests of a tenant are inside: running, waiting, or on their way there. */
	of(tenantId: string): number {
		return this.#tenants.get(tenantId) ?? 0;
	}

	/** Throws `server_draining`. */
	requireOpen(): void {
		if (this.#closed) throw draining();
	}

	/** Lets a request in. Returns what lets it out again; call that once. */
	enter(tenantId: string): () => void {
		this.#inside++;
		this.#tenants.set(tenantId, this.of(tenantId) + 1);
		return () => this.#leave(tenantId);
	}

	/** Lets nobody in any more; resolves when the last one has left. Further calls wait for the same. */
	close(): Promise<void> {
		this.#closed = true;
		if (this.#inside === 0) this.#empty.resolve();
		return this.#empty.promise;
	}

	#leave(tenantId: string): void {
		this.#inside--;
		const left = this.of(tenantId) - 1;
		if (left > 0) this.#tenants.set(tenantId, left);
		else this.#tenants.delete(tenantId);
		if (this.#closed && this.#inside === 0) this.#empty.resolve();
	}
}
