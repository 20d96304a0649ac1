/** So many answers are remembered of each upstream: enough for the 99th percentile, few enough to follow a change. */
const ANSWERS_KEPT = 200;

/** How long the latest answers took of each upstream: streams until their first token, others until they were whole. */
export class AnswerTimes {
	readonly #rings = new Map<string, { readonly ms: number[]; next: number }>();

	/** In no order. */
	of(upstream: string, streamed: boolean): readonly number[] {
		return this.#rings.get(keyOf(upstream, streamed))?.ms ?? [];
	}

	note(upstream: string, streamed: boolean, tookMs: number): void {
		const key = keyOf(upstream, streamed);
		let ring = this.#rings.get(key);
		if (!ring) {
			ring = { ms: [], next: 0 };
			this.#rings.set(key, ring);
		}
		ring.ms[ring.next] = tookMs;
		ring.next = (ring.next + 1) % ANSWERS_KEPT;
	}
}

function keyOf(upstream: string, streamed: boolean): string {
	return streamed ? `${upstream} streamed` : upstream;
}
