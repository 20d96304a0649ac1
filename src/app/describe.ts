import { basename, isAbsolute } from 'node:path';
import type { CollectionConfig } from '../contracts/collection.ts';
import { parseManifest } from '../retrieval/manifest.ts';
import type { CollectionDescription, Description } from '../spec/description.ts';
import type { GenerationRecord } from '../spec/generations.ts';
import type { IndexAdmin } from '../spec/index-admin.ts';
import type { Retriever } from '../spec/retrieval.ts';
import type { LoadedProject } from './load-project.ts';
import { version } from './version.ts';

interface Parts {
	readonly project: () => LoadedProject;
	readonly retrieval: { readonly retriever: Retriever; readonly index: IndexAdmin };
}

/** What this deployment is. Throws `index_not_ready` when the manifest of a live generation cannot be read. */
export async function describe({ project, retrieval }: Parts): Promise<Description> {
	const { config, releases, prompts } = project();
	const live = new Map(retrieval.retriever.status().map((one) => [one.collection, one.generation]));
	const collections: Record<string, CollectionDescription> = {};
	for (const collection of config.collections.values()) {
		const generation = live.get(collection.name) ?? null;
		const record = generation === null ? null : await retrieval.index.show(collection.name, generation);
		collections[collection.name] = { settings: settingsOf(collection), live: record && liveOf(record) };
	}
	return {
		version,
		features: record(releases, ({ contract, hash }, name) => ({
			release: hash,
			prompt_version: prompts.get(name)?.version ?? null,
			route: contract.models.route,
			collection: contract.retrieval?.collection ?? null,
		})),
		upstreams: record(config.upstreams, ({ family, model, available }) => ({ family, model, available })),
		embedders: record(config.embedders, (embedder) => ({
			family: embedder.family,
			model: 'model' in embedder ? basenameOf(embedder.model) : null,
			dimensions: embedder.dimensions,
		})),
		collections,
	};
}

/** Without paths and addresses, which are each deployment's own. */
function settingsOf({ embedder, onIdentityChange, search, checks }: CollectionConfig) {
	const { rerank, ...ranking } = search;
	return { embedder, onIdentityChange, search: { ...ranking, reranked: rerank !== null }, checks };
}

function liveOf(record: GenerationRecord): CollectionDescription['live'] {
	const { hash, embedding, space, chunker, fields, engine, lexical, fusion, sources } = parseManifest(record);
	const { generation, documents, chunks, statistics, verification } = record;
	const failed = verification?.checks.filter(({ passed }) => !passed).map(({ check }) => check) ?? null;
	return {
		...{ generation, hash, documents, chunks, statistics, checks_failed: failed },
		built: { embedding, space: space ?? null, chunker, fields: fields ?? {}, engine, lexical, fusion, sources },
	};
}

/** A model in a folder is called after it: where it lies is each machine's own. */
function basenameOf(model: string): string {
	return isAbsolute(model) ? basename(model) : model;
}

function record<T, R>(map: ReadonlyMap<string, T>, row: (value: T, name: string) => R): Record<string, R> {
	return Object.fromEntries([...map].map(([name, value]) => [name, row(value, name)]));
}
