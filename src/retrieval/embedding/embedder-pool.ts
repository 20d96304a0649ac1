import { canonicalJson } from '../../base/canonical-json.ts';
import type { Clock } from '../../base/clock.ts';
import type { HttpClient } from '../../base/http.ts';
import type { EmbedderConfig } from '../../contracts/project.ts';
import { PlimsollError } from '../../spec/errors.ts';
import type { Embedder, EmbedderSource } from '../../spec/retrieval.ts';
import { createEmbedder } from './embedders.ts';

/** How long a failure to load is remembered, so that searches do not each try again. */
const RETRY_AFTER_MS = 30_000;

interface Entry {
	readonly made: Promise<Embedder>;
	failedAt: number | null;
}

/** The configured embedders, each made when it is first needed and shared from then on. */
export class EmbedderPool implements EmbedderSource {
	readonly #parts: { http: HttpClient; clock: Clock; cacheDir: string };
	readonly #entries = new Map<string, Entry>();
	#configs: ReadonlyMap<string, EmbedderConfig> = new Map();

	constructor(parts: { http: HttpClient; clock: Clock; cacheDir: string }) {
		this.#parts = parts;
	}

	/** Puts new configurations in force and closes what they no longer name. */
	async update(configs: ReadonlyMap<string, EmbedderConfig>): Promise<void> {
		this.#configs = configs;
		const kept = new Set([...configs.values()].map(entryKey));
		const retired = [...this.#entries].filter(([key]) => !kept.has(key));
		for (const [key] of retired) this.#entries.delete(key);
		await closeAll(retired.map(([, entry]) => entry));
	}

	/** Throws what `createEmbedder` throws. */
	get(name: string): Promise<Embedder> {
		const config = this.#configs.get(name);
		if (!config) throw new PlimsollError('configuration_invalid', `No embedder is called ${name}.`);
		const key = entryKey(config);
		const known = this.#entries.get(key);
		const { clock } = this.#parts;
		if (known && (known.failedAt === null || clock.monotonic() - known.failedAt < RETRY_AFTER_MS)) return known.made;
		const entry: Entry = { made: createEmbedder(config, this.#parts), failedAt: null };
		entry.made.catch(() => {
			entry.failedAt = clock.monotonic();
		});
		this.#entries.set(key, entry);
		return entry.made;
	}

	async close(): Promise<void> {
		const entries = [...this.#entries.values()];
		this.#entries.clear();
		await closeAll(entries);
	}
}

/** The key of an embedder is all that makes it: an edit makes another one. The secret stays in memory. */
function entryKey(config: EmbedderConfig): string {
	return canonicalJson({ ...config, aliases: [], price: null });
}

async function closeAll(entries: readonly Entry[]): Promise<void> {
	for (const result of await Promise.allSettled(entries.map(({ made }) => made))) {
		if (result.status === 'fulfilled') await result.value.close();
	}
}
