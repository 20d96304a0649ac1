import type { Clock } from '../base/clock.ts';
import type { HttpClient } from '../base/http.ts';
import type { RerankConfig } from '../contracts/ranking-config.ts';
import type { Reranker } from '../spec/reranker.ts';
import { createHttpReranker } from './http-reranker.ts';

/** A re-ranker for each configuration, so that its breaker outlives a search. */
export class Rerankers {
	readonly #parts: { http: HttpClient; clock: Clock };
	readonly #made = new WeakMap<RerankConfig, Reranker>();

	constructor(parts: { http: HttpClient; clock: Clock }) {
		this.#parts = parts;
	}

	/** Frozen configuration is an identity: a reload makes a new one. */
	of(config: RerankConfig): Reranker {
		let made = this.#made.get(config);
		if (!made) {
			made = createHttpReranker(config, this.#parts);
			this.#made.set(config, made);
		}
		return made;
	}
}
