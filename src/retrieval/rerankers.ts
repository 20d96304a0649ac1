import { canonicalJson } from '../base/canonical-json.ts';
import type { Clock } from '../base/clock.ts';
import type { HttpClient } from '../base/http.ts';
import type { RerankConfig } from '../contracts/ranking-config.ts';
import type { Reranker } from '../spec/reranker.ts';
import { createHttpReranker } from './http-reranker.ts';
import { createLocalReranker } from './local-reranker.ts';

/** How long a replaced re-ranker stays open for calls that began with it: above the longest time-out. */
const RETIRE_AFTER_MS = 61_000;

interface RerankerParts {
	readonly http: HttpClient;
	readonly clock: Clock;
	/** Where models from the hub are kept. */
	readonly cacheDir: string;
	/** Hears of a model that cannot be used. */
	readonly warn: (message: string) => void;
}

/** A re-ranker for each configuration, so that its breaker and its model outlive a search. */
export class Rerankers {
	readonly #parts: RerankerParts;
	readonly #made = new Map<string, Reranker>();
	readonly #retired = new Set<Reranker>();
	#named: readonly RerankConfig[] = [];
	/** Whether models are loaded before a search asks. */
	#isLoading = false;

	constructor(parts: RerankerParts) {
		this.#parts = parts;
	}

	/** What makes a re-ranker is its key; the secret stays in memory. */
	of(config: RerankConfig): Reranker {
		const key = canonicalJson(config);
		const known = this.#made.get(key);
		if (known) return known;
		const made =
			config.format === 'local' ? createLocalReranker(config, this.#parts) : createHttpReranker(config, this.#parts);
		this.#made.set(key, made);
		return made;
	}

	/** Closes those that are named no more. */
	update(configs: readonly RerankConfig[]): void {
		this.#named = configs;
		const kept = new Set(configs.map(canonicalJson));
		for (const [key, made] of this.#made) {
			if (kept.has(key)) continue;
			this.#made.delete(key);
			this.#retired.add(made);
			this.#parts.clock.after(RETIRE_AFTER_MS, () => {
				if (this.#retired.delete(made)) void made.close();
			});
		}
		if (this.#isLoading) void this.load();
	}

	/** Loads the models that are named, now and in updates to come, before a search asks. Never rejects. */
	async load(): Promise<void> {
		this.#isLoading = true;
		await Promise.all(this.#named.map((config) => this.of(config).load()));
	}

	async close(): Promise<void> {
		const all = [...this.#made.values(), ...this.#retired];
		this.#made.clear();
		this.#retired.clear();
		await Promise.all(all.map((made) => made.close()));
	}
}
