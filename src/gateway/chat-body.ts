import { z } from 'zod';
import { membersOf } from '../base/members.ts';
import type { ShownImage } from '../policy/images.ts';
import type { ChatRequest } from '../runtime/request.ts';
import { PlimsollError } from '../spec/errors.ts';

const Message = z.looseObject({ role: z.string('expected a string') });

/** `POST /v1/chat/completions`. What is not named here goes on to the model, or is refused by the feature by name. */
export const ChatBody = z.looseObject({
	model: z.string('expected the name of a feature or an upstream').min(1).max(200),
	messages: z
		.array(Message, 'expected a list of messages')
		.min(1, 'is empty, expected at least the user’s question')
		.max(2000, 'holds more than 2,000 messages'),
	stream: z.boolean('expected true or false').nullish(),
	stream_options: z.looseObject({ include_usage: z.boolean().nullish() }).nullish(),
	user: z.string('expected a string of at most 512 characters').max(512).nullish(),
});

export type ChatBody = z.output<typeof ChatBody>;

/** `POST /v1/features/{feature}/invoke`. */
export const InvokeBody = z.strictObject({
	input: z.looseObject({ question: z.string('expected a string').optional() }).default({}),
	history: z
		.array(z.strictObject({ role: z.enum(['user', 'assistant']), content: z.string() }))
		.max(2000)
		.default([]),
	max_tokens: z.int().min(1).optional(),
	user: z.string().max(512).optional(),
	stream: z.boolean('expected true or false').optional(),
});

/** `POST /v1/collections/{collection}/search`. */
export const SearchBody = z.strictObject({
	query: z.string('expected a string of at most 100,000 characters').max(100_000),
	k: z.int('expected an integer from 1 to 1000').min(1).max(1000).default(10),
	mode: z.enum(['hybrid', 'lexical', 'vector']).nullish(),
	filter: z.record(z.string(), z.unknown(), 'expected an object, such as {"field": "year", "from": 2020}').nullish(),
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
	const images = imagesIn(messages);
	return {
		model,
		messages,
		variables: {},
		...(images.length > 0 && { images }),
		parameters,
		user: body.user ?? null,
		stream: stream === true,
		includeUsage: streamOptions?.include_usage === true,
	};
}

/** Images wherever in the messages, under the two names that OpenAI has for them. */
function imagesIn(messages: ChatBody['messages']): ShownImage[] {
	const images: ShownImage[] = [];
	for (const [index, { content }] of messages.entries()) {
		if (!Array.isArray(content)) continue;
		for (const [part, value] of content.entries()) {
			const at = `messages[${index}].content[${part}]`;
			const { image_url: image, file } = membersOf(value);
			const url = typeof image === 'string' ? image : membersOf(image).url;
			if (typeof url === 'string') images.push({ at: `${at}.image_url`, url });
			const { file_data: data } = membersOf(file);
			if (isImageData(data)) images.push({ at: `${at}.file`, url: data });
		}
	}
	return images;
}

/** Whether a file is an image, whatever it is sent as. */
export function isImageData(data: unknown): data is string {
	return typeof data === 'string' && /^data:image\//i.test(data);
}
