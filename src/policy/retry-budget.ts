/**
 * Bounds what retries can add to a storm: every request earns `ratio` of a retry, every further attempt costs one, and
 * a small floor lets a quiet system retry at all. (Finagle's and Envoy's retry budget.)
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

	/** True, and one retry is spent, when the budget allows another attempt. */
	spend(): boolean {
		if (this.#balance < 1) return false;
		this.#balance -= 1;
		return true;
	}
}
