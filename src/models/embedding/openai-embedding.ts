import { createHttpOrigin } from '../../base/http.ts';
import type { EmbeddingWire, HostedEmbedderConfig } from '../../contracts/embedder.ts';
import type { EmbeddingAnswer, EmbeddingModel } from '../../spec/embedding.ts';
import { isObject, type Json } from '../exchange/json.ts';
import { AnswerShapeError } from '../openai-compatible/answer.ts';
import { PlainAttempt } from '../openai-compatible/plain-attempt.ts';
import { answerBytesMax, CONNECT_MS, type EmbeddingParts, exchangeOf } from './exchange.ts';
import { parseNumbers, providerTokens, rowsByIndex } from './rows.ts';

const TEXTS_MAX = 2_048;

/** Any endpoint that speaks OpenAI's `POST /embeddings`. Throws TypeError at once when its address is not an http(s) URL. */
export function createOpenAiEmbedding(
	config: HostedEmbedderConfig & { readonly wire: EmbeddingWire },
	parts: EmbeddingParts,
): EmbeddingModel {
	const { wire, apiKey, model, dimensions } = config;
	const origin = createHttpOrigin(config.baseUrl ?? '', {
		connectionsMax: config.concurrencyMax,
		connectMs: CONNECT_MS,
	});
	const headers = ['content-type', 'application/json', 'accept', 'application/json', 'user-agent', 'plimsoll'];
	if (apiKey !== null) headers.push(wire.keyHeader, wire.keyHeader === 'authorization' ? `Bearer ${apiKey}` : apiKey);
	const fixed = {
		...config.providerOptions,
		model,
		...(wire.encodingFormat && { encoding_format: 'float' }),
		...(config.requestDimensions && { [wire.dimensionsField]: dimensions }),
	};
	return {
		textsMax: TEXTS_MAX,
		embed: (call) =>
			new Promise((resolve, reject) => {
				const { texts, kind } = call;
				const type = kind === 'as_sent' ? null : kind === 'query' ? config.queryType : config.documentType;
				const body = { ...fixed, ...(wire.typeField && type !== null && { [wire.typeField]: type }), input: texts };
				const attempt = new PlainAttempt<EmbeddingAnswer>(
					{
						...exchangeOf(call, parts),
						bodyBytesMax: answerBytesMax(texts.length, dimensions),
						parse: parseNumbers,
						read: (answer) => read(answer, texts.length),
						what: 'a list of embeddings',
					},
					resolve,
					reject,
				);
				attempt.start(() => origin.post(`${origin.basePath}/embeddings`, headers, JSON.stringify(body), attempt));
			}),
		close: () => origin.close(),
	};
}

function read({ data, model, system_fingerprint: fingerprint, usage }: Json, count: number): EmbeddingAnswer {
	if (!Array.isArray(data)) throw new AnswerShapeError('expected a list named data');
	const { prompt_tokens: prompt, total_tokens: total } = isObject(usage) ? usage : ({} as Json);
	const served = [model, fingerprint].filter((part) => typeof part === 'string' && part !== '');
	return {
		rows: rowsByIndex(data, count),
		tokens: providerTokens(prompt ?? total),
		served: served.length === 0 ? null : served.join(' '),
	};
}
