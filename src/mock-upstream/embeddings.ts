import { sha256 } from '../base/hash.ts';
import { seededRandom } from '../base/random.ts';
import { type Json, mapping, mappings, textOf } from './asked.ts';

const DIMENSIONS = 64;
const DIMENSIONS_MAX = 16_384;

/** The answer of OpenAI's embeddings to a request, in the encoding that it asks for. */
export function openAiEmbeddings(request: Json): Json {
	const inputs = (Array.isArray(request.input) ? request.input : [request.input]).map(String);
	const data = inputs.map((text, index) => {
		const vector = embed(text, dimensionsOf(request.dimensions ?? request.output_dimension));
		const base64 = request.encoding_format === 'base64';
		const embedding = base64 ? Buffer.from(vector.buffer).toString('base64') : Array.from(vector);
		return { object: 'embedding', index, embedding };
	});
	const tokens = wordsOf(inputs);
	const usage = { prompt_tokens: tokens, total_tokens: tokens };
	return { object: 'list', data, model: request.model ?? 'double-embed', usage };
}

/** The answer of Gemini's `embedContent` and `batchEmbedContents`. */
export function geminiEmbeddings(request: Json, path: string): Json {
	const values = (one: Json) => ({
		values: Array.from(embed(textOf(mapping(one.content)), dimensionsOf(one.outputDimensionality))),
	});
	if (path.endsWith(':embedContent')) return { embedding: values(request) };
	return { embeddings: mappings(request.requests).map(values) };
}

/** The answer of Cohere's `POST /v2/embed`. */
export function cohereEmbeddings(request: Json): Json {
	const texts = textsOf(request.texts);
	const float = texts.map((text) => Array.from(embed(text, dimensionsOf(request.output_dimension))));
	return { id: 'double', texts, embeddings: { float }, meta: { billed_units: { input_tokens: wordsOf(texts) } } };
}

/** The answer of Vertex AI's `:predict` for embedding models. */
export function vertexEmbeddings(request: Json): Json {
	const { outputDimensionality } = mapping(request.parameters);
	const predictions = mappings(request.instances).map(({ content }) => {
		const text = String(content);
		const values = Array.from(embed(text, dimensionsOf(outputDimensionality)));
		return { embeddings: { values, statistics: { token_count: wordsOf([text]), truncated: false } } };
	});
	return { predictions };
}

/** The answer of Bedrock's `/model/{id}/invoke` for Titan's, Nova's and Cohere's embedding models. */
export function bedrockEmbeddings(request: Json): Json {
	if (request.texts !== undefined) {
		const size = dimensionsOf(request.output_dimension);
		return { embeddings: textsOf(request.texts).map((text) => Array.from(embed(text, size))) };
	}
	const { singleEmbeddingParams } = request;
	if (singleEmbeddingParams !== undefined) {
		const { text, embeddingDimension } = mapping(singleEmbeddingParams);
		const value = String(mapping(text).value);
		const embedding = Array.from(embed(value, dimensionsOf(embeddingDimension)));
		return { embeddings: [{ embeddingType: 'TEXT', embedding }], inputTokenCount: wordsOf([value]) };
	}
	const text = String(request.inputText);
	return { embedding: Array.from(embed(text, dimensionsOf(request.dimensions))), inputTextTokenCount: wordsOf([text]) };
}

function textsOf(value: unknown): readonly string[] {
	return Array.isArray(value) ? value.map(String) : [];
}

function wordsOf(texts: readonly string[]): number {
	return texts.reduce((sum, text) => sum + text.split(/\s+/).length, 0);
}

/** A unit vector that depends on the text alone: the sum of one fixed random vector for each word, so that texts with common words are near. */
export function embed(text: string, dimensions: number): Float32Array {
	const sum = new Float32Array(dimensions);
	for (const word of text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? ['']) {
		const random = seededRandom(Number.parseInt(sha256(word).slice(0, 8), 16));
		for (let i = 0; i < dimensions; i++) sum[i] = (sum[i] ?? 0) + random.next() * 2 - 1;
	}
	const length = Math.hypot(...sum);
	return sum.map((value) => value / length);
}

function dimensionsOf(asked: unknown): number {
	return typeof asked === 'number' && asked >= 1 ? Math.min(Math.floor(asked), DIMENSIONS_MAX) : DIMENSIONS;
}
