import { z } from 'zod';
import type { EmbedRequest } from '../runtime/embed.ts';
import { PlimsollError } from '../spec/errors.ts';

const TEXTS_MAX = 2_048;

/** `POST /v1/embeddings`. Every member is read: what is not named here is refused by name. */
export const EmbeddingsBody = z.strictObject({
	model: z.string('expected the name of an embedder').min(1).max(200),
	input: z.union(
		[
			z.string(),
			z
				.array(z.union([z.string(), z.number(), z.array(z.number())]))
				.min(1)
				.max(TEXTS_MAX),
		],
		`expected a text, or a list of 1 to ${TEXTS_MAX.toLocaleString('en')} texts`,
	),
	encoding_format: z.enum(['float', 'base64'], 'expected float or base64').nullish(),
	dimensions: z.int('expected a whole number').min(1).nullish(),
	input_type: z.enum(['query', 'document'], 'expected query or document').nullish(),
	user: z.string('expected a string of at most 512 characters').max(512).nullish(),
});

/** Throws `request_invalid` for empty texts, which no model has a vector for, and for tokens in place of a text. */
export function readEmbeddingsBody(
	body: z.output<typeof EmbeddingsBody>,
): EmbedRequest & { readonly encoding: 'float' | 'base64' } {
	const { model, input, encoding_format: encoding, dimensions, input_type: kind, user } = body;
	const texts = (typeof input === 'string' ? [input] : input).map((text, index) => {
		const param = typeof input === 'string' ? 'input' : `input[${index}]`;
		if (typeof text !== 'string') {
			const message = `${param} holds tokens. Their encoding is not known here: send the text (LangChain in Python: check_embedding_ctx_length=False).`;
			throw new PlimsollError('request_invalid', message, { param });
		}
		if (text === '') throw new PlimsollError('request_invalid', `${param} is empty.`, { param });
		return text.toWellFormed();
	});
	return {
		model,
		texts,
		kind: kind ?? 'as_sent',
		dimensions: dimensions ?? null,
		user: user ?? null,
		encoding: encoding ?? 'float',
	};
}
