import { canonicalJson } from '../../base/canonical-json.ts';
import { sha256 } from '../../base/hash.ts';
import type { HostedEmbedderConfig } from '../../contracts/embedder.ts';
import type { EmbeddingIdentity } from '../../spec/retrieval.ts';

/** What an embedder behind an endpoint is said to be. */
export function identityOf(config: HostedEmbedderConfig): EmbeddingIdentity {
	const { queryType, documentType, providerOptions } = config;
	const hasOptions = Object.keys(providerOptions).length > 0;
	return {
		// An endpoint that speaks OpenAI's format is anybody's; a vendor's family is known by its name.
		provider: config.family === 'openai-compatible' ? (config.baseUrl ?? '') : vendorOf(config),
		model: config.model,
		revision: hasOptions ? `options-${sha256(canonicalJson(providerOptions)).slice(0, 8)}` : '',
		dimensions: config.dimensions,
		normalised: true,
		queryPrefix: config.queryPrefix,
		documentPrefix: config.documentPrefix,
		...(queryType !== null && { queryType }),
		...(documentType !== null && { documentType }),
		tokensMax: config.tokensMax,
	};
}

function vendorOf(config: Exclude<HostedEmbedderConfig, { family: 'openai-compatible' }>): string {
	return config.family === 'ai-sdk' ? config.package : config.family;
}
