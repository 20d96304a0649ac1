import type { Clock } from '../../base/clock.ts';
import type { HttpClient } from '../../base/http.ts';
import type { EmbedderConfig } from '../../contracts/project.ts';
import type { Embedder } from '../../spec/retrieval.ts';
import { createBuiltinEmbedder } from './builtin-embedder.ts';
import { createLocalEmbedder } from './local-embedder.ts';
import { createOpenAiEmbedder } from './openai-embedder.ts';

/** Throws PlimsollError `dependency_missing` or `configuration_invalid` when the embedder cannot be made. */
export async function createEmbedder(
	config: EmbedderConfig,
	parts: { http: HttpClient; clock: Clock; cacheDir: string },
): Promise<Embedder> {
	switch (config.family) {
		case 'builtin':
			return createBuiltinEmbedder(config.dimensions);
		case 'openai-compatible':
			return createOpenAiEmbedder(config, parts);
		case 'local':
			return createLocalEmbedder(config, parts);
	}
}
