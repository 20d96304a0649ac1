import { sha256 } from '../../src/base/hash.ts';
import { seededRandom } from '../../src/base/random.ts';

const DIMENSIONS = 64;

/** The answer of `/v1/embeddings` to a request's body, in the encoding that it asks for. */
export function embeddingsBody(body: string): string {
	const request: { input: string | string[]; model?: string; dimensions?: number; encoding_format?: string } =
		JSON.parse(body);
	const inputs = Array.isArray(request.input) ? request.input : [request.input];
	const data = inputs.map((text, index) => {
		const vector = embed(text, request.dimensions ?? DIMENSIONS);
		const base64 = request.encoding_format === 'base64';
		const embedding = base64 ? Buffer.from(vector.buffer).toString('base64') : Array.from(vector);
		return { object: 'embedding', index, embedding };
	});
	const tokens = inputs.reduce((sum, text) => sum + text.split(/\s+/).length, 0);
	const usage = { prompt_tokens: tokens, total_tokens: tokens };
	return JSON.stringify({ object: 'list', data, model: request.model ?? 'double-embed', usage });
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
