/**
 * Bounds what retries can add to a storm: every request earns `ratio` of a retry, asking an upstream again costs one, and
 * a small floor lets a quiet system retry at all. (Finagle's and Envoy's retry budget.) A request's first attempt at an
 * upstream costs nothing: no upstream gets more than one such from a request, and an outage of one would otherwise
 * spend in a moment what the fail-over to a healthy one needs.
 */
export class RetryBudget {
	readonly #ratio: number;
	readonly #max: number;
	#balance: number;

	constructor(options: { ratio: number; floor: number; max: number }) {
		this.#ratio = options.ratio;
		this.#max = options.max;
		this.#balance = options.floor;
	}

	/** Call once for each request that reaches its first attempt. */
	earn(): void {
		this.#balance = Math.min(this.#max, this.#balance + this.#ratio);
	}

	get allows(): boolean {
		return this.#balance >= 1;
	}

	/** True, and one retry is spent, when the budget allows to ask an upstream again. */
	spend(): boolean {
		if (!this.allows) return false;
		this.#balance -= 1;
		return true;
	}
}
