import type { Answer, ToolCall } from './answer.ts';
import { type Asked, callable, count, type Json, listOf, mapping, mappings, type OfferedTool, text } from './asked.ts';
import type { TokenCounts } from './plan.ts';
import { type Frames, type Refusal, type RefusalReply, retryHeaders, sse, type WireFormat } from './wire-format.ts';

/**
 * `POST /v1beta/models/{model}:generateContent` and `:streamGenerateContent`
 * (https://ai.google.dev/api/generate-content).
 */
export const geminiContent: WireFormat = {
	read(body, path): Asked {
		const contents = mappings(listOf(body.contents, 'contents'));
		const config = mapping(body.generationConfig ?? body.generation_config);
		const calling = mapping(mapping(body.toolConfig).functionCallingConfig);
		const allowed = Array.isArray(calling.allowedFunctionNames) ? calling.allowedFunctionNames : [];
		const last = mappings(contents.at(-1)?.parts);
		const thinking = mapping(config.thinkingConfig);
		return {
			model: /models\/([^/:]+):/.exec(path)?.[1] ?? 'unknown',
			stream: path.endsWith(':streamGenerateContent'),
			input: [body.systemInstruction ?? '', contents],
			tools: callable(toolsOf(body.tools), {
				none: calling.mode === 'NONE' || last.some((part) => part.functionResponse !== undefined),
				name: text(allowed[0]),
			}),
			parallel: true,
			schema: schemaOf(config),
			thinks: thinking.includeThoughts === true,
			tokensOutMax: count(config.maxOutputTokens),
			usageInStream: true,
		};
	},
	plain: (answer) => response(answer, partsOf(answer), { finished: true }),
	stream,
	refuse: refusal,
	streamError: (why) => sse(refusal(why).body),
	limitHeaders: () => ({}),
};

function response(answer: Answer, parts: readonly Json[], { finished }: { finished: boolean }): Json {
	const { counts, model, id } = answer;
	const content = { parts, role: 'model' };
	const reason = finished && answer.finish !== null ? { finishReason: finishReason(answer.finish) } : {};
	const usage = counts && usageOf(counts);
	return {
		candidates: [{ content, index: 0, ...reason }],
		...(usage && { usageMetadata: usage }),
		modelVersion: model,
		responseId: id,
	};
}

function partsOf({ thinking, text: said, calls }: Answer): Json[] {
	return [
		...(thinking === null ? [] : [{ text: thinking, thought: true }]),
		...(said === '' && calls.length > 0 ? [] : [{ text: said }]),
		...calls.map((call, at) => callPart(call, thinking !== null && at === 0)),
	];
}

/** The first call of a turn brings the signature of the thought that led to it. */
function callPart({ name, id, arguments: json }: ToolCall, isSigned: boolean): Json {
	return { functionCall: { id, name, args: parsed(json) }, ...(isSigned && { thoughtSignature: SIGNATURE }) };
}

const SIGNATURE = Buffer.from('a double signs its thoughts').toString('base64');

/** Broken arguments stay the text that they are. */
function parsed(json: string): unknown {
	try {
		return JSON.parse(json);
	} catch {
		return json;
	}
}

/** Calls come whole, each in a chunk of its own; the last chunk has the reason. There is no end mark. */
function stream(answer: Answer): Frames {
	const { thinking, pieces, calls } = answer;
	const chunks: Json[][] = [
		...(thinking === null ? [] : [[{ text: thinking, thought: true }]]),
		...pieces.map((piece) => [{ text: piece }]),
		...calls.map((call, at) => [callPart(call, thinking !== null && at === 0)]),
	];
	const last = chunks.pop() ?? [{ text: '' }];
	const list = chunks.map((parts) => sse(response(answer, parts, { finished: false })));
	list.push(sse(response(answer, last, { finished: true })));
	return { list, end: null, type: 'text/event-stream' };
}

/** What a stream without `alt=sse` is: the chunks as a JSON array. */
export function asJsonArray({ list }: Frames): Frames {
	const chunks = list.map((frame, at) => `${at === 0 ? '[' : ',\r\n'}${String(frame).slice('data: '.length).trim()}`);
	return { list: chunks, end: ']', type: 'application/json' };
}

function finishReason(finish: string): string {
	if (finish === 'length') return 'MAX_TOKENS';
	return finish === 'content_filter' ? 'SAFETY' : 'STOP';
}

/** Gemini counts what the model thought beside the candidates. */
function usageOf(counts: TokenCounts): Json {
	return {
		promptTokenCount: counts.tokensIn,
		candidatesTokenCount: counts.tokensOut - counts.tokensReasoning,
		totalTokenCount: counts.tokensIn + counts.tokensOut,
		...(counts.tokensCached > 0 && { cachedContentTokenCount: counts.tokensCached }),
		...(counts.tokensReasoning > 0 && { thoughtsTokenCount: counts.tokensReasoning }),
		promptTokensDetails: [{ modality: 'TEXT', tokenCount: counts.tokensIn }],
	};
}

function schemaOf(config: Json): unknown {
	if (config.responseMimeType !== 'application/json') return null;
	return config.responseJsonSchema ?? config.responseSchema ?? {};
}

function toolsOf(tools: unknown): OfferedTool[] {
	return mappings(tools)
		.flatMap((tool) => mappings(tool.functionDeclarations ?? tool.function_declarations))
		.flatMap(({ name, parameters, parametersJsonSchema }) =>
			typeof name === 'string' ? [{ name, schema: parametersJsonSchema ?? parameters ?? {} }] : [],
		);
}

type Row = readonly [status: number, name: string, message: string];

/** As https://ai.google.dev/gemini-api/docs/troubleshooting lists them, in the form of google.rpc.Status. */
const ROWS: Readonly<Record<Exclude<Refusal['kind'], 'content_filter'>, Row>> = {
	rate_limited: [429, 'RESOURCE_EXHAUSTED', 'Resource has been exhausted (e.g. check quota).'],
	quota: [429, 'RESOURCE_EXHAUSTED', 'You exceeded your current quota, please check your plan and billing details.'],
	server_error: [500, 'INTERNAL', 'An internal error has occurred. Please retry.'],
	overloaded: [503, 'UNAVAILABLE', 'The model is overloaded. Please try again later.'],
	context_too_long: [
		400,
		'INVALID_ARGUMENT',
		'The input token count (2500000) exceeds the maximum number of tokens allowed (1048576).',
	],
	bad_request: [400, 'INVALID_ARGUMENT', 'Request contains an invalid argument.'],
	authentication: [400, 'INVALID_ARGUMENT', 'API key not valid. Please pass a valid API key.'],
	permission: [403, 'PERMISSION_DENIED', 'The caller does not have permission'],
	model_not_found: [404, 'NOT_FOUND', 'The model is not found for API version v1beta.'],
};

const SERVER_ERRORS: Readonly<Record<number, string>> = { 503: 'UNAVAILABLE', 504: 'DEADLINE_EXCEEDED' };

function refusal({ kind, message, plan, model, nowMs }: Refusal): RefusalReply {
	if (kind === 'content_filter') {
		// A prompt that is filtered is answered with 200, without a candidate.
		const usageMetadata = { promptTokenCount: 20, totalTokenCount: 20 };
		const body = { promptFeedback: { blockReason: 'SAFETY' }, usageMetadata, modelVersion: model };
		return { status: 200, body };
	}
	const [usual, name, words] = ROWS[kind];
	const status = kind === 'server_error' ? (plan.errorStatus ?? usual) : usual;
	const details = detailsOf(kind, plan.retryAfter?.form === 'none' ? null : (plan.retryAfter?.ms ?? null));
	const error = {
		code: status,
		message: message ?? words,
		status: SERVER_ERRORS[status] ?? name,
		...(details.length > 0 && { details }),
	};
	return { status, body: { error }, headers: retryHeaders(plan, nowMs) };
}

function detailsOf(kind: Refusal['kind'], retryMs: number | null): Json[] {
	const details: Json[] = [];
	if (kind === 'quota') {
		const violation = {
			quotaMetric: 'generativelanguage.googleapis.com/generate_content_free_tier_requests',
			quotaId: 'GenerateRequestsPerDayPerProjectPerModel-FreeTier',
			quotaValue: '250',
		};
		details.push({ '@type': 'type.googleapis.com/google.rpc.QuotaFailure', violations: [violation] });
	}
	if (kind === 'authentication') {
		const domain = 'googleapis.com';
		details.push({ '@type': 'type.googleapis.com/google.rpc.ErrorInfo', reason: 'API_KEY_INVALID', domain });
	}
	if (retryMs !== null) {
		details.push({ '@type': 'type.googleapis.com/google.rpc.RetryInfo', retryDelay: `${retryMs / 1_000}s` });
	}
	return details;
}
