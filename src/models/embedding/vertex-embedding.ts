import { createHttpOrigin } from '../../base/http.ts';
import type { HostedEmbedderConfig } from '../../contracts/embedder.ts';
import type { EmbeddingAnswer, EmbeddingModel } from '../../spec/embedding.ts';
import { GoogleTokens } from '../ai-sdk/google-tokens.ts';
import { isObject, type Json } from '../exchange/json.ts';
import { AnswerShapeError } from '../openai-compatible/answer.ts';
import { PlainAttempt } from '../openai-compatible/plain-attempt.ts';
import { answerBytesMax, CONNECT_MS, type EmbeddingParts, exchangeOf } from './exchange.ts';
import { assertCount, parseNumbers, providerTokens } from './rows.ts';

/** Gemini's embedding models take one text in a call, the older ones 250. */
const TEXTS_MAX = { gemini: 1, others: 250 };

/**
 * Embedding models on Vertex AI by `:predict`. The provider's package for it brings a library for tokens with HTTP and
 * retries of its own.
 */
export function createVertexEmbedding(
	config: Extract<HostedEmbedderConfig, { family: 'vertex' }>,
	parts: EmbeddingParts,
): EmbeddingModel {
	const { name, model, credentials, dimensions, providerOptions } = config;
	const origin = createHttpOrigin(config.baseUrl ?? '', {
		connectionsMax: config.concurrencyMax,
		connectMs: CONNECT_MS,
	});
	const tokens = new GoogleTokens({ upstream: name, credentials, clock: parts.clock });
	const path = `${origin.basePath}/models/${model}:predict`;
	const parameters = { ...providerOptions, ...(config.requestDimensions && { outputDimensionality: dimensions }) };
	return {
		textsMax: model.startsWith('gemini') ? TEXTS_MAX.gemini : TEXTS_MAX.others,
		async embed(call) {
			const { texts, kind } = call;
			const token = await tokens.token();
			const type = kind === 'as_sent' ? null : kind === 'query' ? config.queryType : config.documentType;
			const instances = texts.map((content) => ({ content, ...(type !== null && { task_type: type }) }));
			const headers = ['content-type', 'application/json', 'authorization', `Bearer ${token}`];
			return new Promise((resolve, reject) => {
				const attempt = new PlainAttempt<EmbeddingAnswer>(
					{
						...exchangeOf(call, parts),
						bodyBytesMax: answerBytesMax(texts.length, dimensions),
						parse: parseNumbers,
						read: (answer) => read(answer, texts.length),
						what: 'a list of predictions',
					},
					resolve,
					reject,
				);
				attempt.start(() => origin.post(path, headers, JSON.stringify({ instances, parameters }), attempt));
			});
		},
		async close() {
			await Promise.all([origin.close(), tokens.close()]);
		},
	};
}

function read({ predictions, deployedModelId, modelVersionId }: Json, count: number): EmbeddingAnswer {
	if (!Array.isArray(predictions)) throw new AnswerShapeError('expected a list named predictions');
	assertCount(predictions.length, count);
	const embeddings = predictions.map((one: unknown) =>
		isObject(one) && isObject(one.embeddings) ? one.embeddings : {},
	);
	const counts = embeddings.map(({ statistics }: Json) =>
		isObject(statistics) ? providerTokens(statistics.token_count) : null,
	);
	const served = [deployedModelId, modelVersionId].filter((part) => typeof part === 'string' && part !== '');
	return {
		rows: embeddings.map(({ values }: Json) => values),
		tokens: counts.some((one) => one === null) ? null : counts.reduce<number>((sum, one) => sum + (one ?? 0), 0),
		served: served.length === 0 ? null : served.join(' '),
	};
}
