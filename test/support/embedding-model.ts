import { embed } from '../../src/mock-upstream/embeddings.ts';
import type { EmbeddingAnswer, EmbeddingCall, EmbeddingModel } from '../../src/spec/embedding.ts';

/** A provider's model in this process: what it does with a call is the test's to say. */
export interface ModelDouble extends EmbeddingModel {
	readonly dimensions: number;
	readonly calls: EmbeddingCall[];
	answer: (call: EmbeddingCall) => EmbeddingAnswer | Promise<EmbeddingAnswer>;
}

/** Vectors by their words, made once for each text: probes are long. */
export function modelDouble(dimensions = 64): ModelDouble {
	const known = new Map<string, readonly number[]>();
	const vectorOf = (text: string) => {
		const made = known.get(text) ?? [...embed(text, dimensions)];
		known.set(text, made);
		return made;
	};
	const calls: EmbeddingCall[] = [];
	const double: ModelDouble = {
		dimensions,
		calls,
		textsMax: 2_048,
		answer: ({ texts }) => ({ rows: texts.map(vectorOf), tokens: texts.length, served: 'm-2024' }),
		async embed(call) {
			calls.push(call);
			return double.answer(call);
		},
		async close() {},
	};
	return double;
}
