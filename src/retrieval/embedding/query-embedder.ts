import type { CollectionConfig } from '../../contracts/collection.ts';
import type { EmbedderSource } from '../../spec/embedding.ts';
import { PlimsollError } from '../../spec/errors.ts';
import type { Manifest } from '../manifest.ts';
import type { QueryVector, QueryVectors } from './query-vectors.ts';
import type { SpaceWatch } from './space-watch.ts';

/** Embeds queries, and only for an index whose vectors they can be compared with. */
export class QueryEmbedder {
	readonly #embedders: EmbedderSource;
	readonly #watch: Pick<SpaceWatch, 'judge'>;
	readonly #vectors: QueryVectors;

	constructor({
		embedders,
		watch,
		vectors,
	}: { embedders: EmbedderSource; watch: Pick<SpaceWatch, 'judge'>; vectors: QueryVectors }) {
		this.#embedders = embedders;
		this.#watch = watch;
		this.#vectors = vectors;
	}

	/** Throws PlimsollError `embedding_identity_changed`, what the embedder throws, or the signal's reason. */
	async embed(
		text: string,
		{ config, manifest, signal }: { config: CollectionConfig; manifest: Manifest; signal: AbortSignal },
	): Promise<QueryVector> {
		const { embedder: name, name: collection } = config;
		if (name === null || manifest.embedding === null) throw changed(collection, 'it was built without vectors');
		const embedder = await this.#embedders.get(name);
		const space = { identity: manifest.embedding, fingerprint: manifest.fingerprint ?? null };
		const verdict = await this.#watch.judge(name, embedder, space);
		if (!verdict.same) throw changed(collection, verdict.message);
		return this.#vectors.get(embedder, text, signal);
	}
}

function changed(collection: string, why: string): PlimsollError {
	const message = `The live index of ${collection} was built with another embedder than the one configured: ${why}. plimsoll ingest ${collection} builds a new one.`;
	return new PlimsollError('embedding_identity_changed', message);
}
