import { canonicalJson } from '../../base/canonical-json.ts';
import type { Clock } from '../../base/clock.ts';
import type { Random } from '../../base/random.ts';
import { type EmbedderConfig, type HostedEmbedderConfig, isHosted } from '../../contracts/embedder.ts';
import { Breakers } from '../../policy/breakers.ts';
import { RetryBudgets } from '../../policy/retry-budget.ts';
import type { Embedder, EmbedderSource, EmbeddingModel } from '../../spec/embedding.ts';
import { PlimsollError } from '../../spec/errors.ts';
import type { EmbeddingPrice } from '../../spec/retrieval.ts';
import { createBuiltinEmbedder } from './builtin-embedder.ts';
import { HostedEmbedder } from './hosted-embedder.ts';
import { createLocalEmbedder } from './local-embedder.ts';

/** How long a failure to load is remembered, so that searches do not each try again. */
const RETRY_AFTER_MS = 30_000;
/** How long a replaced embedder stays open for calls that began with it: above the longest deadline. */
const RETIRE_AFTER_MS = 660_000;
/** Requests earn a second call for one in five, whoever they are from. */
const RETRIES = { ratio: 0.2, floor: 10, tenantFloor: 10, tenantsMax: 1 };

export interface EmbedderPoolParts {
	readonly clock: Clock;
	readonly random: Random;
	/** Where models from the hub are kept. */
	readonly cacheDir: string;
	/** Opens a provider's model. */
	readonly openModel: (config: HostedEmbedderConfig) => Promise<EmbeddingModel>;
	/** Hears when a provider says that it serves something else than before. */
	readonly onServed?: (embedder: string, served: string) => void;
}

const IN_PROCESS: EmbeddingPrice = { version: 'free', inputMicrosPerMillion: 0 };

interface Entry {
	readonly made: Promise<Embedder>;
	failedAt: number | null;
}

/** The configured embedders, each made when it is first needed and shared from then on. */
export class EmbedderPool implements EmbedderSource {
	/** Which endpoints are left alone, by the name of their embedder. */
	readonly breakers: Breakers;
	readonly #parts: EmbedderPoolParts;
	readonly #retries = new RetryBudgets(RETRIES);
	readonly #entries = new Map<string, Entry>();
	readonly #retired = new Set<Entry>();
	#configs: ReadonlyMap<string, EmbedderConfig> = new Map();

	constructor(parts: EmbedderPoolParts) {
		this.#parts = parts;
		this.breakers = new Breakers(parts.clock);
	}

	get configs(): ReadonlyMap<string, EmbedderConfig> {
		return this.#configs;
	}

	/** Puts new configurations in force; what they no longer name is closed when nothing can use it any more. */
	async update(configs: ReadonlyMap<string, EmbedderConfig>): Promise<void> {
		this.#configs = configs;
		const hosted = [...configs.values()].filter(isHosted);
		this.breakers.update(new Map(hosted.map(({ name, breaker }) => [name, breaker])));
		const kept = new Set([...configs.values()].map(entryKey));
		for (const [key, entry] of this.#entries) {
			if (kept.has(key)) continue;
			this.#entries.delete(key);
			this.#retired.add(entry);
			this.#parts.clock.after(RETIRE_AFTER_MS, () => {
				if (this.#retired.delete(entry)) void closeAll([entry]);
			});
		}
	}

	/** Throws PlimsollError `dependency_missing` or `configuration_invalid` when the embedder cannot be made. */
	get(name: string): Promise<Embedder> {
		const config = this.#configs.get(name);
		if (!config) throw new PlimsollError('configuration_invalid', `No embedder is called ${name}.`);
		const key = entryKey(config);
		const known = this.#entries.get(key);
		const { clock } = this.#parts;
		if (known && (known.failedAt === null || clock.monotonic() - known.failedAt < RETRY_AFTER_MS)) return known.made;
		const entry: Entry = { made: this.#make(config), failedAt: null };
		entry.made.catch(() => {
			entry.failedAt = clock.monotonic();
		});
		this.#entries.set(key, entry);
		return entry.made;
	}

	/** What an embedder charges; nothing for one in this process, null: nobody knows. */
	priceOf(name: string): EmbeddingPrice | null {
		const config = this.#configs.get(name);
		return config && 'price' in config ? config.price : IN_PROCESS;
	}

	async close(): Promise<void> {
		const entries = [...this.#entries.values(), ...this.#retired];
		this.#entries.clear();
		this.#retired.clear();
		await closeAll(entries);
	}

	async #make(config: EmbedderConfig): Promise<Embedder> {
		const { clock, random, cacheDir, openModel, onServed } = this.#parts;
		if (config.family === 'builtin') return createBuiltinEmbedder(config.dimensions);
		if (config.family === 'local') return createLocalEmbedder(config, { cacheDir, clock });
		return new HostedEmbedder(config, await openModel(config), {
			clock,
			random,
			breakers: this.breakers,
			retries: this.#retries,
			onServed: (served) => onServed?.(config.name, served),
		});
	}
}

/** The key of an embedder is all that makes it: an edit makes another one. The secret stays in memory. */
function entryKey(config: EmbedderConfig): string {
	return canonicalJson({ ...config, aliases: [], checkIntervalMs: null });
}

async function closeAll(entries: readonly Entry[]): Promise<void> {
	for (const result of await Promise.allSettled(entries.map(({ made }) => made))) {
		if (result.status === 'fulfilled') await result.value.close();
	}
}
