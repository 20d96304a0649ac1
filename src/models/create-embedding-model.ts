import type { Clock } from '../base/clock.ts';
import type { HostedEmbedderConfig } from '../contracts/embedder.ts';
import type { EmbeddingModel } from '../spec/embedding.ts';
import { configurationError, PlimsollError } from '../spec/errors.ts';
import { createOpenAiEmbedding } from './embedding/openai-embedding.ts';
import { createSdkEmbedding } from './embedding/sdk-embedding.ts';
import { createVertexEmbedding } from './embedding/vertex-embedding.ts';
import { createFailures } from './exchange/failure.ts';

/**
 * The model of one embedder; the caller closes it. Rejects with PlimsollError `configuration_invalid` when its address is
 * not http(s) or its package makes no such model, and `dependency_missing` with the command where the package is not there.
 */
export async function createEmbeddingModel(
	config: HostedEmbedderConfig,
	{ clock }: { readonly clock: Clock },
): Promise<EmbeddingModel> {
	const failures = createFailures({ upstream: config.name, secrets: secretsOf(config), clock });
	const parts = { clock, failures };
	try {
		if (config.family === 'openai-compatible') return createOpenAiEmbedding(config, parts);
		if (config.family === 'vertex') return createVertexEmbedding(config, parts);
		return await createSdkEmbedding(config, parts);
	} catch (thrown) {
		if (thrown instanceof PlimsollError) throw thrown;
		const message = `cannot be made: ${thrown instanceof Error ? thrown.message : String(thrown)}`;
		const place = { file: 'plimsoll.yaml', line: null, column: null, field: `embedders.${config.name}` };
		throw configurationError([{ ...place, message, expected: null, hint: null }]);
	}
}

function secretsOf(config: HostedEmbedderConfig): (string | null)[] {
	if (config.family !== 'bedrock') return [config.apiKey];
	return [config.apiKey, config.signing?.secretAccessKey ?? null, config.signing?.sessionToken ?? null];
}
