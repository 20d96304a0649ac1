/** How many calls are under way at each upstream, from this process. */
export class UpstreamLoad {
	readonly #calls = new Map<string, number>();

	of(upstream: string): number {
		return this.#calls.get(upstream) ?? 0;
	}

	begin(upstream: string): void {
		this.#calls.set(upstream, this.of(upstream) + 1);
	}

	/** Call once for each `begin`. */
	end(upstream: string): void {
		const left = this.of(upstream) - 1;
		if (left > 0) this.#calls.set(upstream, left);
		else this.#calls.delete(upstream);
	}
}
