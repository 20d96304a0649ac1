import { z } from 'zod';
import type { ChatRequest } from '../runtime/request.ts';
import { PlimsollError } from '../spec/errors.ts';

const Message = z.looseObject({ role: z.string('role must be a string') });

/** `POST /v1/chat/completions`. What is not named here goes on to the model, or is refused by the feature by name. */
export const ChatBody = z.looseObject({
	model: z.string('model must be the name of a feature or an upstream').min(1).max(200),
	messages: z.array(Message, 'messages must be a list').min(1, 'messages is empty').max(2000),
	stream: z.boolean('stream must be true or false').nullish(),
	stream_options: z.looseObject({ include_usage: z.boolean().nullish() }).nullish(),
	user: z.string('user must be a string').max(512).nullish(),
});

export type ChatBody = z.output<typeof ChatBody>;

/** `POST /v1/features/{feature}/invoke`. */
export const InvokeBody = z.strictObject({
	input: z.looseObject({ question: z.string('input.question must be a string').optional() }).default({}),
	history: z
		.array(z.strictObject({ role: z.enum(['user', 'assistant']), content: z.string() }))
		.max(2000)
		.default([]),
	max_tokens: z.int().min(1).optional(),
	user: z.string().max(512).optional(),
});

/** `POST /v1/collections/{collection}/search`. */
export const SearchBody = z.strictObject({
	query: z.string('query must be a string').max(100_000),
	k: z.int('k must be an integer').min(1).max(1000).default(10),
	mode: z.enum(['hybrid', 'lexical', 'vector']).nullish(),
});

/** The parts of a chat body that the gateway reads; everything else stays as sent. */
export function readChatBody(body: ChatBody): Omit<ChatRequest, 'sink'> & { stream: boolean; includeUsage: boolean } {
	const { model, messages, stream, stream_options: streamOptions, ...parameters } = body;
	for (const option of Object.keys(streamOptions ?? {})) {
		if (option === 'include_usage') continue;
		throw new PlimsollError('parameter_unsupported', `stream_options.${option} is not supported.`, {
			param: `stream_options.${option}`,
		});
	}
	return {
		model,
		messages,
		variables: {},
		parameters,
		user: body.user ?? null,
		stream: stream === true,
		includeUsage: streamOptions?.include_usage === true,
	};
}
