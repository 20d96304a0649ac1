import { sha256 } from '../base/hash.ts';
import { seededRandom } from '../base/random.ts';
import { type Json, mapping, mappings, textOf } from './asked.ts';

const DIMENSIONS = 64;
const DIMENSIONS_MAX = 16_384;

/** The answer of OpenAI's embeddings to a request, in the encoding that it asks for. */
export function openAiEmbeddings(request: Json): Json {
	const inputs = (Array.isArray(request.input) ? request.input : [request.input]).map(String);
	const data = inputs.map((text, index) => {
		const vector = embed(text, dimensionsOf(request.dimensions));
		const base64 = request.encoding_format === 'base64';
		const embedding = base64 ? Buffer.from(vector.buffer).toString('base64') : Array.from(vector);
		return { object: 'embedding', index, embedding };
	});
	const tokens = inputs.reduce((sum, text) => sum + text.split(/\s+/).length, 0);
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
