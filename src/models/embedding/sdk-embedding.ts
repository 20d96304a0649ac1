import type { EmbeddingModelV4, SharedV4ProviderOptions } from '@ai-sdk/provider';
import type { HostedEmbedderConfig } from '../../contracts/embedder.ts';
import type { EmbeddingAnswer, EmbeddingCall, EmbeddingModel } from '../../spec/embedding.ts';
import type { TextKind } from '../../spec/retrieval.ts';
import { failureOf } from '../ai-sdk/failure-of.ts';
import { FetchAttempt } from '../ai-sdk/fetch-attempt.ts';
import { isModelV4, providerOf, requirePackage } from '../ai-sdk/packages.ts';
import { type Fetch, Transport } from '../ai-sdk/transport.ts';
import { isObject, type Json } from '../exchange/json.ts';
import { AnswerShapeError } from '../openai-compatible/answer.ts';
import { CONNECT_MS, type EmbeddingParts, exchangeOf } from './exchange.ts';
import { assertCount, parseNumbers, providerTokens } from './rows.ts';

export type SdkEmbedderConfig = Extract<HostedEmbedderConfig, { family: 'cohere' | 'google' | 'bedrock' | 'ai-sdk' }>;

/** Where a package says nothing of its own. */
const TEXTS_MAX = 96;

/**
 * An embedding model behind a provider's package, at the level where the package makes one HTTP request and nothing
 * retries. Throws PlimsollError `dependency_missing` with the command where the package is not installed.
 */
export async function createSdkEmbedding(config: SdkEmbedderConfig, parts: EmbeddingParts): Promise<EmbeddingModel> {
	requirePackage(config, 'embedder');
	const { baseUrl, concurrencyMax: connectionsMax } = config;
	const transport = new Transport({ baseUrl, connectionsMax, connectMs: CONNECT_MS });
	const model = await openModel(config, transport.fetch);
	return {
		textsMax: (await model.maxEmbeddingsPerCall) ?? TEXTS_MAX,
		async embed(call) {
			const attempt = new FetchAttempt(exchangeOf(call, parts), { streams: false, mark: null });
			attempt.start(() => null);
			try {
				const asked = () => ask(model, call, config);
				const answer = await Promise.race([attempt.failed, transport.run(attempt, asked)]);
				assertCount(answer.rows.length, call.texts.length);
				return answer;
			} catch (thrown) {
				attempt.abandon();
				if (thrown instanceof AnswerShapeError) throw parts.failures.of('nonsense', `sent ${thrown.message}`);
				throw failureOf(thrown, attempt, parts.failures);
			}
		},
		close: () => transport.close(),
	};
}

async function openModel(config: SdkEmbedderConfig, door: Fetch): Promise<EmbeddingModelV4> {
	const { model, baseUrl, apiKey } = config;
	// Settings are complete, empty ones included: what a package is not told, it looks up in the environment.
	const common = { baseURL: baseUrl ?? '', apiKey: apiKey ?? '', fetch: door };
	switch (config.family) {
		case 'cohere': {
			const { createCohere } = await import('@ai-sdk/cohere');
			return createCohere(common).embeddingModel(model);
		}
		case 'google': {
			const { createGoogle } = await import('@ai-sdk/google');
			return createGoogle(common).embeddingModel(model);
		}
		case 'bedrock': {
			const { createAmazonBedrock } = await import('@ai-sdk/amazon-bedrock');
			const { sessionToken, ...keys } = config.signing ?? { accessKeyId: '', secretAccessKey: '', sessionToken: null };
			const session = sessionToken === null ? {} : { sessionToken };
			return createAmazonBedrock({ ...common, region: config.region, ...keys, ...session }).embeddingModel(model);
		}
		case 'ai-sdk': {
			const provider = await providerOf(config, door);
			const made: unknown = canEmbed(provider) ? provider.embeddingModel(model) : null;
			if (isModelV4<EmbeddingModelV4>(made)) return made;
			throw new TypeError(`the package ${config.package} of ${config.name} makes no embedding model of version v4`);
		}
	}
}

function canEmbed(value: unknown): value is { embeddingModel(model: string): unknown } {
	const isThing = typeof value === 'function' || isObject(value);
	return isThing && 'embeddingModel' in value && typeof value.embeddingModel === 'function';
}

async function ask(model: EmbeddingModelV4, call: EmbeddingCall, config: SdkEmbedderConfig): Promise<EmbeddingAnswer> {
	const options = { values: [...call.texts], providerOptions: optionsOf(config, call.kind), abortSignal: call.signal };
	const result = await model.doEmbed(options).then(null, (thrown: unknown) => {
		// The package looks at each number; which text it belongs to is ours to say.
		const rows = rowsIn(thrown);
		if (rows === null) throw thrown;
		return { embeddings: rows, usage: undefined, response: undefined };
	});
	const body = isObject(result.response?.body) ? result.response.body : ({} as Json);
	const served = [body.model, body.modelVersion].filter((part) => typeof part === 'string' && part !== '');
	return {
		rows: result.embeddings,
		tokens: providerTokens(result.usage?.tokens),
		served: served.length === 0 ? null : served.join(' '),
	};
}

/** The embeddings of an answer that a package refused for its numbers; null where it failed for anything else. */
function rowsIn(thrown: unknown): readonly unknown[] | null {
	for (let error = thrown, depth = 0; isObject(error) && depth < 4; error = error.cause, depth++) {
		const body = bodyIn(error);
		if (body === null) continue;
		const { embedding, embeddings } = body;
		if (embedding !== undefined) return [valuesOf(embedding)];
		const list = isObject(embeddings) ? embeddings.float : embeddings;
		return Array.isArray(list) ? list.map(valuesOf) : null;
	}
	return null;
}

/** Packages bring their own copies of their error classes: only names and members can be relied on. */
function bodyIn({ name, value, text }: Json): Json | null {
	if (name === 'AI_TypeValidationError' && isObject(value)) return value;
	return name === 'AI_JSONParseError' && typeof text === 'string' ? parseNumbers(text) : null;
}

/** Gemini's `{values}`, Nova's `{embedding}`, or the list itself. */
function valuesOf(one: unknown): unknown {
	return isObject(one) ? (one.values ?? one.embedding) : one;
}

/** What a package is told beside the texts, under the name that it reads. */
function optionsOf(config: SdkEmbedderConfig, kind: TextKind): SharedV4ProviderOptions {
	const { queryType, documentType, providerOptions, requestDimensions, dimensions, model } = config;
	const type = kind === 'as_sent' ? null : kind === 'query' ? queryType : documentType;
	const own = providerOptions as SharedV4ProviderOptions[string];
	const said = (typeField: string, dimensionsField: string) => ({
		...own,
		...(type !== null && typeField !== '' && { [typeField]: type }),
		...(requestDimensions && { [dimensionsField]: dimensions }),
	});
	switch (config.family) {
		case 'cohere':
			return { cohere: said('inputType', 'outputDimension') };
		case 'google':
			return { google: said('taskType', 'outputDimensionality') };
		case 'bedrock':
			if (model.includes('amazon.nova-')) return { amazonBedrock: said('embeddingPurpose', 'embeddingDimension') };
			if (model.includes('cohere.embed-')) return { amazonBedrock: said('inputType', 'outputDimension') };
			return { amazonBedrock: said('', 'dimensions') };
		case 'ai-sdk':
			return { [config.optionsName]: said('inputType', 'dimensions') };
	}
}
