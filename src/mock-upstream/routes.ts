import type { IncomingHttpHeaders } from 'node:http';
import { countTokens } from '../base/tokens.ts';
import { CREATED } from './answer.ts';
import { anthropicMessages } from './anthropic-messages.ts';
import { type Asked, type Json, modelOf, type RouteName, required, textOf } from './asked.ts';
import { bedrockConverse } from './bedrock-converse.ts';
import { cohereChat } from './cohere-chat.ts';
import {
	bedrockEmbeddings,
	cohereEmbeddings,
	geminiEmbeddings,
	openAiEmbeddings,
	vertexEmbeddings,
} from './embeddings.ts';
import { asJsonArray, geminiContent } from './gemini-content.ts';
import { openAiChat } from './openai-chat.ts';
import { openAiResponses } from './openai-responses.ts';
import type { WireFormat } from './wire-format.ts';

/** What one path does. */
export interface Route {
	readonly name: RouteName;
	/** Of its vendor: how it refuses, and how it answers where it generates. */
	readonly format: WireFormat;
	/** The whole answer of a route that generates nothing; null: the format answers. */
	readonly reply: ((body: Json, path: string) => Json) | null;
}

const chat: Route = { name: 'chat', format: openAiChat, reply: null };
const GEMINI_JSON: WireFormat = { ...geminiContent, stream: (answer) => asJsonArray(geminiContent.stream(answer)) };

/** The route of a request; null where no vendor has one. Base URLs differ, so that only the end of a path counts. */
export function routeOf(method: string, url: string, { headers, models }: RouteOptions): Route | null {
	const path = pathOf(url);
	if (method === 'GET') return modelsRoute(path, headers, models);
	if (method !== 'POST') return null;
	if (path.endsWith('/chat/completions')) return chat;
	if (path.endsWith('/v2/embed')) return { name: 'embeddings', format: plainly(cohereChat), reply: cohereEmbeddings };
	if (/\/model\/[^/]+\/invoke$/.test(path)) {
		return { name: 'embeddings', format: plainly(bedrockConverse), reply: bedrockEmbeddings };
	}
	if (path.endsWith('/embeddings')) return { name: 'embeddings', format: plainly(openAiChat), reply: openAiEmbeddings };
	if (path.endsWith('/responses')) return { name: 'responses', format: openAiResponses, reply: null };
	if (path.endsWith('/messages')) return { name: 'messages', format: anthropicMessages, reply: null };
	if (path.endsWith('/messages/count_tokens')) {
		const reply = (body: Json) => ({ input_tokens: tokensOf([body.system, body.messages]) });
		return { name: 'tokens', format: plainly(anthropicMessages), reply };
	}
	if (path.endsWith('/v2/chat')) return { name: 'cohere', format: cohereChat, reply: null };
	if (/\/model\/[^/]+\/converse(?:-stream)?$/.test(path))
		return { name: 'bedrock', format: bedrockConverse, reply: null };
	return geminiRoute(path, url);
}

interface RouteOptions {
	readonly headers: IncomingHttpHeaders;
	/** What the lists of models name. */
	readonly models: readonly string[];
}

/** Without its query. */
export function pathOf(url: string): string {
	const at = url.indexOf('?');
	return at === -1 ? url : url.slice(0, at);
}

function geminiRoute(path: string, url: string): Route | null {
	const action = /\/models\/[^/:]+:([A-Za-z]+)$/.exec(path)?.[1];
	switch (action) {
		case 'generateContent':
			return { name: 'gemini', format: geminiContent, reply: null };
		case 'streamGenerateContent': {
			const isSse = /[?&]alt=sse\b/.test(url);
			return { name: 'gemini', format: isSse ? geminiContent : GEMINI_JSON, reply: null };
		}
		case 'embedContent':
		case 'batchEmbedContents':
			return { name: 'embeddings', format: plainly(geminiContent), reply: geminiEmbeddings };
		case 'predict':
			return { name: 'embeddings', format: plainly(geminiContent), reply: vertexEmbeddings };
		case 'countTokens': {
			const reply = ({ contents }: Json) => ({ totalTokens: tokensOf(contents) });
			return { name: 'tokens', format: plainly(geminiContent), reply };
		}
		default:
			return null;
	}
}

/** The same vendor, for requests that generate nothing: nothing but the model and the input is read. */
function plainly(format: WireFormat): WireFormat {
	const read = (body: Json, path: string): Asked => ({
		model: /models?\/([^/:]+)(?::|\/invoke$)/.exec(path)?.[1] ?? modelOf(body),
		stream: false,
		input: path.includes(':')
			? body
			: path.endsWith('/embeddings')
				? required(body.input, 'input')
				: (body.messages ?? body),
		tools: [],
		parallel: false,
		schema: null,
		thinks: false,
		tokensOutMax: null,
		usageInStream: false,
	});
	return { ...format, read };
}

function tokensOf(input: unknown): number {
	return Math.max(1, countTokens(textOf(input), 'o200k_base'));
}

function modelsRoute(path: string, headers: IncomingHttpHeaders, models: readonly string[]): Route | null {
	const match = /^(.*\/models)(?:\/([^/]+))?$/.exec(path);
	if (!match) return null;
	const [, , one] = match;
	const isGemini = /\/v\d+(beta|alpha)\d*\/models/.test(path) || headers['x-goog-api-key'] !== undefined;
	const isAnthropic = headers['anthropic-version'] !== undefined;
	const format = isGemini ? geminiContent : isAnthropic ? anthropicMessages : openAiChat;
	const describe = isGemini ? geminiModel : isAnthropic ? anthropicModel : openAiModel;
	const list = models.map(describe);
	const reply = () => {
		if (one !== undefined) return describe(one);
		if (isGemini) return { models: list };
		if (isAnthropic) return { data: list, has_more: false, first_id: models[0], last_id: models.at(-1) };
		return { object: 'list', data: list };
	};
	return { name: 'models', format: { ...format, read: () => NOTHING_ASKED }, reply };
}

const NOTHING_ASKED: Asked = {
	model: '',
	stream: false,
	input: '',
	tools: [],
	parallel: false,
	schema: null,
	thinks: false,
	tokensOutMax: null,
	usageInStream: false,
};

function openAiModel(id: string): Json {
	return { id, object: 'model', created: CREATED, owned_by: 'plimsoll' };
}

function anthropicModel(id: string): Json {
	return { type: 'model', id, display_name: id, created_at: new Date(CREATED * 1_000).toISOString() };
}

function geminiModel(id: string): Json {
	return {
		name: `models/${id}`,
		displayName: id,
		inputTokenLimit: 1_048_576,
		outputTokenLimit: 65_536,
		supportedGenerationMethods: ['generateContent', 'countTokens', 'embedContent'],
	};
}
