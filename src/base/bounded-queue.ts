/** A first-in, first-out queue with a cap. What does not fit is refused, and the caller counts it. */
export class BoundedQueue<T> {
	#items: T[] = [];
	#dropped = 0;
	readonly #max: number;

	constructor(max: number) {
		this.#max = max;
	}

	/** False when the queue is full; the item is then counted in `dropped`. */
	push(item: T): boolean {
		if (this.#items.length >= this.#max) {
			this.#dropped++;
			return false;
		}
		this.#items.push(item);
		return true;
	}

	/** Empties the queue, oldest first. */
	drain(): T[] {
		const items = this.#items;
		this.#items = [];
		return items;
	}

	get length(): number {
		return this.#items.length;
	}

	/** How many items were refused since the queue was made. */
	get dropped(): number {
		return this.#dropped;
	}
}
