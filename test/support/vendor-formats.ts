import { eventStreamMessage } from '../../src/mock-upstream/aws-event-stream.ts';

/** What a vendor's model says, whatever the vendor's way to write it. */
export interface Said {
	readonly text?: string;
	readonly toolCalls?: readonly {
		readonly id: string;
		readonly name: string;
		readonly args: Record<string, unknown>;
	}[];
	readonly finish?: 'stop' | 'length' | 'content_filter';
	/** False: the vendor counts nothing. */
	readonly counted?: boolean;
}

export type ErrorName =
	| 'rate_limited'
	| 'quota'
	| 'overloaded'
	| 'server_error'
	| 'bad_request'
	| 'context_length'
	| 'authentication';

interface WireError {
	readonly status: number;
	readonly body: unknown;
	readonly headers?: Record<string, string>;
}

/** One vendor's documented wire format. */
export interface VendorFormat {
	readonly streamType: string;
	isStream(path: string, body: Record<string, unknown>): boolean;
	plain(said: Said): unknown;
	/** The frames of a stream, each as the vendor sends it. */
	frames(said: Said): readonly Buffer[];
	error(name: ErrorName): WireError;
	/** An error within a stream; null where the vendor has none. */
	errorFrame: Buffer | null;
	/** The tool names and the text of the last user turn that a request carries, and its images. */
	read(body: Record<string, unknown>): { tools: string[]; images: number; text: string; schema: unknown };
}

export const TEXT = 'The load line of a ship shows how much it may carry in each season and sea.';
/** Both vendors' counts stand for these. */
export const COUNTS = { input: 20, cached: 4, output: 17, reasoning: 5 };

const sse = (event: unknown, name?: string) =>
	Buffer.from(`${name ? `event: ${name}\n` : ''}data: ${JSON.stringify(event)}\n\n`);
const words = (text: string) => (text === '' ? [] : text.split(/(?<= )/));
const halves = (text: string) => [text.slice(0, text.length >> 1), text.slice(text.length >> 1)];

type Json = Record<string, unknown>;
const list = (value: unknown): Json[] => (Array.isArray(value) ? (value as Json[]) : []);
const object = (value: unknown): Json => (typeof value === 'object' && value !== null ? (value as Json) : {});

// Anthropic: https://docs.anthropic.com/en/api/messages, /en/api/messages-streaming, /en/api/errors

const STOP = { stop: 'end_turn', length: 'max_tokens', content_filter: 'refusal' } as const;
const anthropicUsage = {
	input_tokens: COUNTS.input - COUNTS.cached,
	cache_read_input_tokens: COUNTS.cached,
	cache_creation_input_tokens: 0,
	output_tokens: COUNTS.output,
	output_tokens_details: { thinking_tokens: COUNTS.reasoning },
};

const anthropicError = (status: number, type: string, message: string, headers: Record<string, string> = {}) => ({
	status,
	headers,
	body: { type: 'error', error: { type, message }, request_id: 'req_double' },
});

const anthropic: VendorFormat = {
	streamType: 'text/event-stream; charset=utf-8',
	isStream: (_path, body) => body.stream === true,
	plain: ({ text = '', toolCalls = [], finish = 'stop' }) => ({
		id: 'msg_double',
		type: 'message',
		role: 'assistant',
		model: 'double-1',
		content: [
			...(text === '' ? [] : [{ type: 'text', text }]),
			...toolCalls.map(({ id, name, args }) => ({ type: 'tool_use', id, name, input: args })),
		],
		stop_reason: toolCalls.length > 0 ? 'tool_use' : STOP[finish],
		stop_sequence: null,
		usage: anthropicUsage,
	}),
	frames({ text = '', toolCalls = [], finish = 'stop' }) {
		const event = (type: string, more: Json = {}) => sse({ type, ...more }, type);
		const message = { id: 'msg_double', type: 'message', role: 'assistant', model: 'double-1', content: [] };
		const frames = [
			event('message_start', {
				message: { ...message, stop_reason: null, stop_sequence: null, usage: { ...anthropicUsage, output_tokens: 1 } },
			}),
			event('ping'),
		];
		let index = 0;
		if (text !== '') {
			frames.push(event('content_block_start', { index, content_block: { type: 'text', text: '' } }));
			for (const word of words(text)) {
				frames.push(event('content_block_delta', { index, delta: { type: 'text_delta', text: word } }));
			}
			frames.push(event('content_block_stop', { index: index++ }));
		}
		for (const { id, name, args } of toolCalls) {
			frames.push(event('content_block_start', { index, content_block: { type: 'tool_use', id, name, input: {} } }));
			for (const part of halves(JSON.stringify(args))) {
				frames.push(event('content_block_delta', { index, delta: { type: 'input_json_delta', partial_json: part } }));
			}
			frames.push(event('content_block_stop', { index: index++ }));
		}
		const reason = toolCalls.length > 0 ? 'tool_use' : STOP[finish];
		const delta = { stop_reason: reason, stop_sequence: null };
		frames.push(event('message_delta', { delta, usage: anthropicUsage }), event('message_stop'));
		return frames;
	},
	error(name) {
		switch (name) {
			case 'rate_limited':
				return anthropicError(429, 'rate_limit_error', 'This request would exceed your rate limit.', {
					'retry-after': '7',
					'anthropic-ratelimit-requests-remaining': '0',
				});
			case 'quota':
				return anthropicError(400, 'invalid_request_error', 'Your credit balance is too low to access the API.');
			case 'overloaded':
				return anthropicError(529, 'overloaded_error', 'Overloaded');
			case 'server_error':
				return anthropicError(500, 'api_error', 'Internal server error');
			case 'context_length':
				return anthropicError(400, 'invalid_request_error', 'prompt is too long: 210000 tokens > 200000 maximum');
			case 'authentication':
				return anthropicError(401, 'authentication_error', 'invalid x-api-key');
			default:
				return anthropicError(400, 'invalid_request_error', 'messages: roles must alternate');
		}
	},
	errorFrame: sse({ type: 'error', error: { type: 'overloaded_error', message: 'Overloaded' } }, 'error'),
	read(body) {
		const last = list(body.messages).at(-1);
		const parts = list(last?.content);
		const format = object(object(body.output_config).format);
		const forced = list(body.tools).find((tool) => tool.name === 'json');
		return {
			tools: list(body.tools).map((tool) => String(tool.name)),
			images: parts.filter((part) => part.type === 'image').length,
			text: parts.map((part) => part.text ?? '').join(''),
			schema: format.schema ?? object(forced).input_schema,
		};
	},
};

// Google: https://ai.google.dev/api/generate-content, https://ai.google.dev/gemini-api/docs/troubleshooting

const GEMINI_STOP = { stop: 'STOP', length: 'MAX_TOKENS', content_filter: 'SAFETY' } as const;
const geminiUsage = {
	promptTokenCount: COUNTS.input,
	cachedContentTokenCount: COUNTS.cached,
	candidatesTokenCount: COUNTS.output - COUNTS.reasoning,
	thoughtsTokenCount: COUNTS.reasoning,
	totalTokenCount: COUNTS.input + COUNTS.output,
};

const geminiError = (code: number, status: string, message: string, details: Json[] = []) => ({
	status: code,
	body: { error: { code, message, status, details } },
});

const geminiParts = ({ text = '', toolCalls = [] }: Said): Json[] => [
	...(text === '' ? [] : [{ text }]),
	...toolCalls.map(({ id, name, args }) => ({ functionCall: { id, name, args } })),
];

const gemini: VendorFormat = {
	streamType: 'text/event-stream',
	isStream: (path) => path.includes(':streamGenerateContent'),
	plain: (said) => ({
		candidates: [
			{
				content: { role: 'model', parts: geminiParts(said) },
				finishReason: GEMINI_STOP[said.finish ?? 'stop'],
				index: 0,
			},
		],
		usageMetadata: said.counted === false ? undefined : geminiUsage,
		modelVersion: 'double-1',
		responseId: 'resp_double',
	}),
	frames(said) {
		const common = { modelVersion: 'double-1', responseId: 'resp_double' };
		const parts = [...words(said.text ?? '').map((text) => ({ text })), ...geminiParts({ ...said, text: '' })];
		const frames = parts.map((part) =>
			sse({ candidates: [{ content: { role: 'model', parts: [part] }, index: 0 }], ...common }),
		);
		const last = { content: { role: 'model', parts: [] }, finishReason: GEMINI_STOP[said.finish ?? 'stop'], index: 0 };
		return [...frames, sse({ candidates: [last], usageMetadata: geminiUsage, ...common })];
	},
	error(name) {
		const info = (reason: string) => ({ '@type': 'type.googleapis.com/google.rpc.ErrorInfo', reason });
		switch (name) {
			case 'rate_limited':
				return geminiError(429, 'RESOURCE_EXHAUSTED', 'You exceeded your current quota.', [
					{ '@type': 'type.googleapis.com/google.rpc.QuotaFailure', violations: [{ quotaId: 'RequestsPerMinute' }] },
					{ '@type': 'type.googleapis.com/google.rpc.RetryInfo', retryDelay: '7s' },
				]);
			case 'quota':
				return geminiError(429, 'RESOURCE_EXHAUSTED', 'You exceeded your current quota.', [
					{
						'@type': 'type.googleapis.com/google.rpc.QuotaFailure',
						violations: [{ quotaId: 'RequestsPerDayPerProject' }],
					},
					{ '@type': 'type.googleapis.com/google.rpc.RetryInfo', retryDelay: '40s' },
				]);
			case 'overloaded':
				return geminiError(503, 'UNAVAILABLE', 'The model is overloaded. Please try again later.');
			case 'server_error':
				return geminiError(500, 'INTERNAL', 'An internal error has occurred.');
			case 'context_length':
				return geminiError(
					400,
					'INVALID_ARGUMENT',
					'The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).',
				);
			case 'authentication':
				return geminiError(400, 'INVALID_ARGUMENT', 'API key not valid.', [info('API_KEY_INVALID')]);
			default:
				return geminiError(400, 'INVALID_ARGUMENT', 'Invalid JSON payload received.');
		}
	},
	errorFrame: sse({ error: { code: 503, message: 'The model is overloaded.', status: 'UNAVAILABLE' } }),
	read(body) {
		const parts = list(list(body.contents).at(-1)?.parts);
		const config = object(body.generationConfig);
		return {
			tools: list(body.tools).flatMap((tool) => list(tool.functionDeclarations).map(({ name }) => String(name))),
			images: parts.filter((part) => 'inlineData' in part || 'fileData' in part).length,
			text: parts.map((part) => part.text ?? '').join(''),
			schema: config.responseJsonSchema ?? config.responseSchema,
		};
	},
};

// Cohere: https://docs.cohere.com/reference/chat, https://docs.cohere.com/reference/chat-stream, /reference/errors

const COHERE_STOP = { stop: 'COMPLETE', length: 'MAX_TOKENS', content_filter: 'ERROR_TOXIC' } as const;
const cohereUsage = {
	billed_units: { input_tokens: COUNTS.input - COUNTS.cached, output_tokens: COUNTS.output },
	tokens: { input_tokens: COUNTS.input, output_tokens: COUNTS.output },
	cached_tokens: COUNTS.cached,
};
const cohereError = (status: number, message: string, headers: Record<string, string> = {}) => ({
	status,
	headers,
	body: { id: 'err_double', message },
});

const cohere: VendorFormat = {
	streamType: 'text/event-stream',
	isStream: (_path, body) => body.stream === true,
	plain: ({ text = '', toolCalls = [], finish = 'stop' }) => ({
		id: 'co_double',
		generation_id: 'co_double',
		message: {
			role: 'assistant',
			...(text === '' ? {} : { content: [{ type: 'text', text }] }),
			...(toolCalls.length === 0
				? {}
				: {
						tool_plan: 'I will look.',
						tool_calls: toolCalls.map(({ id, name, args }) => ({
							id,
							type: 'function',
							function: { name, arguments: JSON.stringify(args) },
						})),
					}),
		},
		finish_reason: toolCalls.length > 0 ? 'TOOL_CALL' : COHERE_STOP[finish],
		usage: cohereUsage,
	}),
	frames({ text = '', toolCalls = [], finish = 'stop' }) {
		const event = (type: string, more: Json = {}) => sse({ type, ...more }, type);
		const frames = [event('message-start', { id: 'co_double', delta: { message: { role: 'assistant' } } })];
		if (text !== '') {
			frames.push(event('content-start', { index: 0, delta: { message: { content: { type: 'text', text: '' } } } }));
			for (const word of words(text)) {
				frames.push(event('content-delta', { index: 0, delta: { message: { content: { text: word } } } }));
			}
			frames.push(event('content-end', { index: 0 }));
		}
		for (const [index, { id, name, args }] of toolCalls.entries()) {
			const call = { id, type: 'function', function: { name, arguments: '' } };
			frames.push(event('tool-call-start', { index, delta: { message: { tool_calls: call } } }));
			for (const part of halves(JSON.stringify(args))) {
				const piece = { message: { tool_calls: { function: { arguments: part } } } };
				frames.push(event('tool-call-delta', { index, delta: piece }));
			}
			frames.push(event('tool-call-end', { index }));
		}
		const reason = toolCalls.length > 0 ? 'TOOL_CALL' : COHERE_STOP[finish];
		frames.push(event('message-end', { delta: { finish_reason: reason, usage: cohereUsage } }));
		return frames;
	},
	error(name) {
		switch (name) {
			case 'rate_limited':
				return cohereError(429, 'trial token rate limit exceeded', { 'retry-after': '7' });
			case 'quota':
				return cohereError(402, 'please add a payment method');
			case 'overloaded':
				return cohereError(503, 'service unavailable');
			case 'server_error':
				return cohereError(500, 'internal server error');
			case 'context_length':
				return cohereError(400, 'too many tokens: total number of tokens in the prompt cannot exceed 128000');
			case 'authentication':
				return cohereError(401, 'invalid api token');
			default:
				return cohereError(400, 'invalid request: message must not be empty');
		}
	},
	errorFrame: null,
	read(body) {
		const last = list(body.messages).at(-1);
		const parts = typeof last?.content === 'string' ? [{ type: 'text', text: last.content }] : list(last?.content);
		return {
			tools: list(body.tools).map((tool) => String(object(tool.function).name)),
			images: parts.filter((part) => part.type === 'image_url').length,
			text: parts.map((part) => ('text' in part ? part.text : '')).join(''),
			schema: object(body.response_format).json_schema,
		};
	},
};

// Bedrock: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html and …_ConverseStream.html

const BEDROCK_STOP = { stop: 'end_turn', length: 'max_tokens', content_filter: 'content_filtered' } as const;
const bedrockUsage = {
	inputTokens: COUNTS.input - COUNTS.cached,
	outputTokens: COUNTS.output,
	totalTokens: COUNTS.input + COUNTS.output,
	cacheReadInputTokens: COUNTS.cached,
	cacheWriteInputTokens: 0,
};
const bedrockError = (status: number, type: string, message: string, headers: Record<string, string> = {}) => ({
	status,
	headers: { 'x-amzn-errortype': type, ...headers },
	body: { message },
});

const bedrock: VendorFormat = {
	streamType: 'application/vnd.amazon.eventstream',
	isStream: (path) => path.endsWith('/converse-stream'),
	plain: ({ text = '', toolCalls = [], finish = 'stop' }) => ({
		output: {
			message: {
				role: 'assistant',
				content: [
					...(text === '' ? [] : [{ text }]),
					...toolCalls.map(({ id, name, args }) => ({ toolUse: { toolUseId: id, name, input: args } })),
				],
			},
		},
		stopReason: toolCalls.length > 0 ? 'tool_use' : BEDROCK_STOP[finish],
		usage: bedrockUsage,
		metrics: { latencyMs: 12 },
	}),
	frames({ text = '', toolCalls = [], finish = 'stop' }) {
		const frames = [eventStreamMessage('messageStart', { role: 'assistant' })];
		let contentBlockIndex = 0;
		if (text !== '') {
			for (const word of words(text)) {
				frames.push(eventStreamMessage('contentBlockDelta', { contentBlockIndex, delta: { text: word } }));
			}
			frames.push(eventStreamMessage('contentBlockStop', { contentBlockIndex: contentBlockIndex++ }));
		}
		for (const { id, name, args } of toolCalls) {
			const start = { toolUse: { toolUseId: id, name } };
			frames.push(eventStreamMessage('contentBlockStart', { contentBlockIndex, start }));
			for (const input of halves(JSON.stringify(args))) {
				frames.push(eventStreamMessage('contentBlockDelta', { contentBlockIndex, delta: { toolUse: { input } } }));
			}
			frames.push(eventStreamMessage('contentBlockStop', { contentBlockIndex: contentBlockIndex++ }));
		}
		const stopReason = toolCalls.length > 0 ? 'tool_use' : BEDROCK_STOP[finish];
		frames.push(eventStreamMessage('messageStop', { stopReason }));
		frames.push(eventStreamMessage('metadata', { usage: bedrockUsage, metrics: { latencyMs: 12 } }));
		return frames;
	},
	error(name) {
		switch (name) {
			case 'rate_limited':
				return bedrockError(429, 'ThrottlingException:http://internal.amazon.com/coral/', 'Too many requests', {
					'retry-after': '7',
				});
			case 'quota':
				return bedrockError(400, 'ServiceQuotaExceededException', 'Your request exceeds the service quota.');
			case 'overloaded':
				return bedrockError(503, 'ServiceUnavailableException', 'The service is not available.');
			case 'server_error':
				return bedrockError(424, 'ModelErrorException', 'The model failed to process the request.');
			case 'context_length':
				return bedrockError(400, 'ValidationException', 'Input is too long for requested model.');
			case 'authentication':
				return bedrockError(403, 'AccessDeniedException', 'You do not have access to the model.');
			default:
				return bedrockError(400, 'ValidationException', 'Malformed input request.');
		}
	},
	errorFrame: eventStreamMessage('throttlingException', { message: 'Too many requests' }, 'exception'),
	read(body) {
		const parts = list(list(body.messages).at(-1)?.content);
		const tools = list(object(body.toolConfig).tools).map((tool) => object(tool.toolSpec));
		const json = tools.find((tool) => tool.name === 'json');
		return {
			tools: tools.map((tool) => String(tool.name)),
			images: parts.filter((part) => 'image' in part).length,
			text: parts.map((part) => part.text ?? '').join(''),
			schema: object(object(json).inputSchema).json,
		};
	},
};

export const FORMATS = { anthropic, gemini, cohere, bedrock } satisfies Record<string, VendorFormat>;
