import type { Counter } from 'prom-client';

/**
 * Adds up for a counter until its page is asked for. An increment of prom-client sorts and joins the names of its labels;
 * with a dozen for each request that was a thirtieth of all its work. Here it is one look-up.
 */
export class Tally {
	readonly #counter: Counter;
	readonly #labels: readonly string[];
	#amounts = new Map<string, { readonly values: readonly string[]; amount: number }>();

	/** @param labels the counter's label names, in the order in which `add` gets their values. */
	constructor(counter: Counter, labels: readonly string[]) {
		this.#counter = counter;
		this.#labels = labels;
	}

	/** What is no amount counts as nothing: a counter that throws would take the request's end with it. */
	add(amount: number, ...values: string[]): void {
		if (!(amount > 0 && Number.isFinite(amount))) return;
		const key = values.length === 1 ? (values[0] ?? '') : values.join('\u0000');
		const known = this.#amounts.get(key);
		if (known) known.amount += amount;
		else this.#amounts.set(key, { values, amount });
	}

	/** Gives the counter what has come since the last time. */
	handOver(): void {
		for (const { values, amount } of this.#amounts.values()) {
			this.#counter.inc(Object.fromEntries(this.#labels.map((label, at) => [label, values[at] ?? ''])), amount);
		}
		this.#amounts = new Map();
	}
}
