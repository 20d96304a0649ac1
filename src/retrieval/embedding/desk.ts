import { nearest } from '../../base/nearest.ts';
import { type EmbedderConfig, isHosted } from '../../contracts/embedder.ts';
import type { EmbedderDesk, EmbedderIndexView, EmbedderView } from '../../spec/embedder-desk.ts';
import { PlimsollError } from '../../spec/errors.ts';
import type { RecordStore } from '../../spec/records.ts';
import type { Catalogue } from '../catalogue.ts';
import type { Manifest } from '../manifest.ts';
import type { EmbedderPool } from './embedder-pool.ts';
import { type EmbeddingEstimate, ESTIMATE_RUNS, embeddingEstimate } from './embedding-estimate.ts';
import { sameSpace } from './embedding-space.ts';
import type { Measurements } from './measurements.ts';
import type { SpaceWatch, WatchedIndex } from './space-watch.ts';

interface DeskParts {
	readonly pool: EmbedderPool;
	readonly catalogue: Catalogue;
	readonly records: RecordStore;
	readonly measurements: Measurements;
	/** Given once it is made: it needs to know the indexes. */
	readonly watch: () => SpaceWatch;
}

/** Which embedder serves which index, and whether the one still fits the other. */
export class Desk implements EmbedderDesk {
	readonly #parts: DeskParts;

	constructor(parts: DeskParts) {
		this.#parts = parts;
	}

	async list(): Promise<readonly EmbedderView[]> {
		return Promise.all([...this.#parts.pool.configs.values()].map((config) => this.#view(config)));
	}

	async check(name: string): Promise<EmbedderView> {
		const { pool, watch } = this.#parts;
		const config = pool.configs.get(name);
		if (!config) {
			const near = nearest(name, [...pool.configs.keys()]);
			const hint = near === null ? '' : ` Did you mean ${near}?`;
			throw new PlimsollError('model_not_found', `No embedder is named "${name.slice(0, 100)}".${hint}`, {
				param: 'embedder',
			});
		}
		await watch().check(name);
		return this.#view(config);
	}

	/** The live indexes that are searched with an embedder. */
	indexes(name: string): readonly WatchedIndex[] {
		return this.#live(name).map(({ manifest, embedding, onIdentityChange }) => {
			const { collection, generation, fingerprint = null } = manifest;
			const isRefused = onIdentityChange === 'refuse';
			return {
				collection,
				generation,
				space: { identity: embedding, fingerprint },
				policy: isRefused ? 'its searches are refused' : 'its searches are answered by words alone, marked degraded',
				remedy: async () => remedy(collection, await this.#estimate(manifest)),
			};
		});
	}

	#live(name: string): LiveVectors[] {
		const { catalogue } = this.#parts;
		return catalogue.status().flatMap(({ collection }) => {
			const { config, index } = catalogue.state(collection);
			const embedding = index?.manifest.embedding;
			if (config.embedder !== name || !index || !embedding) return [];
			return [{ manifest: index.manifest, embedding, onIdentityChange: config.onIdentityChange }];
		});
	}

	async #estimate(manifest: Manifest): Promise<EmbeddingEstimate> {
		const { records, pool, catalogue } = this.#parts;
		const { embedder: name } = catalogue.state(manifest.collection).config;
		const embedder = name === null ? null : await pool.get(name).catch(() => null);
		return embeddingEstimate(manifest, { runs: await records.listRuns(manifest.collection, ESTIMATE_RUNS), embedder });
	}

	async #view(config: EmbedderConfig): Promise<EmbedderView> {
		const { pool, watch } = this.#parts;
		const { name, family, dimensions } = config;
		const hosted = isHosted(config) ? config : null;
		const { measurement, measuredAt, problem, nextMs } = watch().status(name);
		const breaker = pool.breakers.status().find(({ upstream }) => upstream === name);
		const [error] = breaker?.errors ?? [];
		const { lengthMin = 0, lengthMax = 0 } = measurement?.fingerprint ?? {};
		return {
			embedder: name,
			family,
			// A folder's path is the operator's, and here is the operator.
			model: config.family === 'builtin' ? 'hashed-words-and-grams' : (hosted ?? config).model,
			dimensions,
			state: hosted === null ? 'in_process' : (breaker?.state ?? 'off'),
			waitMs: breaker?.waitMs ?? null,
			lastError: error ? { at: error.at, kind: error.kind, message: error.message } : null,
			measuredAt,
			problem,
			nextMs,
			lengths: measurement === null ? null : [lengthMin, lengthMax],
			indexes: await Promise.all(this.#live(name).map((live) => this.#indexView(name, live))),
		};
	}

	async #indexView(name: string, { manifest, embedding, onIdentityChange }: LiveVectors): Promise<EmbedderIndexView> {
		const { pool, measurements } = this.#parts;
		const { collection, generation, fingerprint = null } = manifest;
		const embedder = await pool.get(name).catch(() => null);
		const latest = embedder && measurements.latest(embedder);
		const now = embedder && { identity: embedder.identity, fingerprint: latest?.fingerprint ?? null };
		const verdict = now && sameSpace({ identity: embedding, fingerprint }, now);
		const { chunks, tokens, costMicros, seconds } = await this.#estimate(manifest);
		return {
			collection,
			generation,
			space: verdict === null ? 'unknown' : spaceWord(verdict),
			difference: verdict === null || verdict.same ? null : verdict.difference,
			message: verdict === null || verdict.same ? null : verdict.message,
			cosineMin: verdict?.cosineMin ?? null,
			onIdentityChange,
			rebuild: { chunks, tokens, costMicros, seconds },
		};
	}
}

/** A live index with vectors. */
interface LiveVectors {
	readonly manifest: Manifest;
	readonly embedding: NonNullable<Manifest['embedding']>;
	readonly onIdentityChange: 'lexical' | 'refuse';
}

function spaceWord(verdict: ReturnType<typeof sameSpace>): EmbedderIndexView['space'] {
	if (!verdict.same) return 'other';
	if (!verdict.measured) return 'unknown';
	return verdict.alias ? 'alias' : 'same';
}

function remedy(collection: string, { chunks, tokens, costMicros, seconds }: EmbeddingEstimate): string {
	const cost = `$${(costMicros / 1_000_000).toFixed(costMicros < 1_000_000 ? 4 : 2)}`;
	const time = seconds === null ? '' : `, in about ${Math.max(1, Math.ceil(seconds / 60))} min`;
	return `plimsoll ingest ${collection} embeds its ${chunks} chunks anew: about ${tokens} tokens for at most ${cost}${time}; or put the embedder of before back.`;
}
