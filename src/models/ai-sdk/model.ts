import type { LanguageModelV4, LanguageModelV4CallOptions, SharedV4Warning } from '@ai-sdk/provider';
import type { Clock } from '../../base/clock.ts';
import type {
	Completion,
	CompletionChunk,
	Model,
	ModelRequest,
	ServedBy,
	Upstream,
	UpstreamError,
} from '../../spec/model.ts';
import { createFailures, errorEvent, type Failures } from '../exchange/failure.ts';
import { isObject, type Json } from '../exchange/json.ts';
import { completionOf, finishReasonOf, isGenerated, servedBy, ToolCallDeltas, thoughtOf, usageOf } from './answer.ts';
import { callOptionsOf, type ParameterRules } from './call-options.ts';
import { failureOf } from './failure-of.ts';
import type { StreamEnd } from './families.ts';
import { FetchAttempt } from './fetch-attempt.ts';
import { promptOf, type TakesUrl } from './prompt.ts';
import type { Transport } from './transport.ts';

interface SdkModelOptions {
	readonly upstream: Upstream;
	/** The package's model, which fetches through `transport`. Loaded once; a failure is told to every call. */
	readonly open: () => Promise<LanguageModelV4>;
	readonly transport: Transport;
	readonly rules: ParameterRules;
	/** How the provider's stream ends: after its last word only the end of the body is awaited. */
	readonly end: StreamEnd;
	readonly providerOptions: Json;
	/** Kept out of messages. */
	readonly secrets: readonly (string | null)[];
	readonly region: string | null;
	readonly clock: Clock;
	readonly close: () => Promise<void>;
}

/** A model behind a provider package, at the level where the package makes one HTTP request and nothing retries. */
export function createSdkModel(options: SdkModelOptions): Model {
	const { upstream, transport } = options;
	const failures = createFailures({ upstream: upstream.name, secrets: options.secrets, clock: options.clock });
	const opened = options.open();
	opened.catch(() => {}); // Every call is told.

	/** Runs `work` as one attempt; whatever it throws leaves as an UpstreamError. */
	const attempted = async <T>(
		request: ModelRequest,
		streams: boolean,
		work: (attempt: FetchAttempt, call: Call) => Promise<T>,
	) => {
		const mark = streams ? options.end.mark : null;
		const attempt = new FetchAttempt({ request, clock: options.clock, failures }, { streams, mark });
		attempt.start(() => null);
		try {
			const asked = async () => {
				const model = await opened;
				return work(attempt, { model, options: await callOf(request, model, options) });
			};
			return await Promise.race([attempt.failed, transport.run(attempt, asked)]);
		} catch (thrown) {
			attempt.abandon();
			throw failureOf(thrown, attempt, failures);
		}
	};

	return {
		upstream,
		complete: (request) =>
			attempted(request, false, async (attempt, call) => {
				const result = await call.model.doGenerate(call.options);
				const { response, warnings, finishReason } = result;
				const raw = isObject(response?.body) ? response.body : null;
				const completion = completionOf(result);
				const reason = finishReasonOf(finishReason);
				if (reason === null) throw unfinished(failures, finishReason.raw);
				if (reason === 'content_filter' && completion.text === '') throw filtered(failures, finishReason.raw);
				const headers = attempt.responseHeaders;
				const said = { id: response?.id, modelId: response?.modelId, raw, headers, warnings };
				return { ...completion, finishReason: reason, served: servedBy({ ...said, region: options.region }) };
			}) satisfies Promise<Completion>,
		stream: (request) =>
			attempted(request, true, async (attempt, call) => {
				const { stream } = await call.model.doStream({ ...call.options, includeRawChunks: true });
				return new SdkStream({ attempt, failures, stream, end: options.end, region: options.region });
			}),
		close: options.close,
	};
}

interface Call {
	readonly model: LanguageModelV4;
	readonly options: LanguageModelV4CallOptions;
}

async function callOf(
	request: ModelRequest,
	model: LanguageModelV4,
	{ upstream, rules, providerOptions }: SdkModelOptions,
): Promise<LanguageModelV4CallOptions> {
	const call = callOptionsOf(request.parameters, rules, providerOptions);
	return {
		maxOutputTokens: upstream.tokensOutMax,
		...call,
		prompt: promptOf(request.messages, {
			takesUrl: takesUrlOf(await model.supportedUrls),
			namespaces: rules.namespaces,
		}),
		abortSignal: request.signal,
	};
}

function takesUrlOf(patterns: Record<string, RegExp[]>): TakesUrl {
	return (mediaType, url) =>
		Object.entries(patterns).some(
			([type, urls]) =>
				(type === '*' || type === '*/*' || type === 'image/*' || type === mediaType || mediaType === 'image/*') &&
				urls.some((pattern) => pattern.test(url.toLowerCase())),
		);
}

function unfinished(failures: Failures, raw: string | undefined): UpstreamError {
	if (raw === undefined) return failures.of('cut', 'ended its answer without a finish reason');
	// A refusal must never be mistaken for something to route around.
	if (/toxic|safety|content|filter|blocked|guardrail/i.test(raw)) return filtered(failures, raw);
	return failures.of('nonsense', `gave up its answer: ${raw}`);
}

function filtered(failures: Failures, raw: string | undefined): UpstreamError {
	return failures.of('content_filter', `refused to answer: ${raw ?? 'content filter'}`);
}

/** So many events of one stream may be no JSON, or not of its shape: more is no accident. */
const SKIPPED_MAX = 8;

/** Packages bring their own copies of their error classes: only the name can be relied on. */
function isUnreadable(error: unknown): boolean {
	const name = error instanceof Error ? error.name : '';
	return name === 'AI_JSONParseError' || name === 'AI_TypeValidationError';
}

interface StreamOptions {
	readonly attempt: FetchAttempt;
	readonly failures: Failures;
	readonly stream: Awaited<ReturnType<LanguageModelV4['doStream']>>['stream'];
	readonly end: StreamEnd;
	readonly region: string | null;
}

type Part = StreamOptions['stream'] extends ReadableStream<infer P> ? P : never;

/** A package's stream of parts as chunks of OpenAI's shape. */
class SdkStream implements AsyncIterable<CompletionChunk> {
	readonly #options: StreamOptions;
	readonly #toolCalls = new ToolCallDeltas();
	#id: string | undefined;
	#modelId: string | undefined;
	#raw: Json | null = null;
	#warnings: readonly SharedV4Warning[] = [];
	#hasText = false;
	#callsTools = false;
	/** Events that the package could not read. */
	#skipped = 0;
	#toldWho = false;

	constructor(options: StreamOptions) {
		this.#options = options;
	}

	async *[Symbol.asyncIterator](): AsyncGenerator<CompletionChunk, undefined> {
		const { attempt, failures, stream } = this.#options;
		const reader = stream.getReader();
		try {
			for (;;) {
				attempt.awaits();
				const { done, value: part } = await reader.read();
				if (done) throw failures.of('cut', 'ended its stream without a finish reason');
				const chunk = this.#chunkOf(part);
				if (chunk === null) continue;
				if (chunk.finishReason !== null) {
					attempt.complete();
					yield chunk;
					return;
				}
				attempt.rests();
				yield chunk;
			}
		} catch (thrown) {
			throw failureOf(thrown, attempt, failures);
		} finally {
			attempt.abandon();
			reader.cancel().catch(() => {}); // A stream that failed has said why.
		}
	}

	/** Null for what a client is not told. Throws UpstreamError. */
	#chunkOf(part: Part): CompletionChunk | null {
		const { attempt, failures } = this.#options;
		attempt.told(isGenerated(part));
		switch (part.type) {
			case 'raw':
				if (isObject(part.rawValue)) this.#onEvent(part.rawValue);
				return null;
			case 'stream-start':
				this.#warnings = part.warnings;
				return null;
			case 'response-metadata':
				this.#id = part.id ?? this.#id;
				this.#modelId = part.modelId ?? this.#modelId;
				return null;
			case 'text-delta':
				this.#hasText ||= part.delta !== '';
				return part.delta === '' ? null : this.#chunk({ text: part.delta });
			case 'error':
				if (!isUnreadable(part.error) || ++this.#skipped > SKIPPED_MAX) throw failureOf(part.error, attempt, failures);
				return null;
			case 'finish':
				return this.#finish(part);
			case 'reasoning-start':
			case 'reasoning-delta':
			case 'reasoning-end': {
				const thought = thoughtOf(part);
				return thought && this.#chunk({ thought });
			}
			default: {
				const delta = this.#toolCalls.of(part);
				this.#hasText ||= delta !== null;
				this.#callsTools ||= delta !== null;
				return delta && this.#chunk({ toolCalls: [delta] });
			}
		}
	}

	#onEvent(event: Json): void {
		this.#raw ??= event;
		const error = errorEvent(event);
		if (error !== null) throw this.#options.failures.fromErrorObject(error);
		const { end, attempt } = this.#options;
		if (end.isLast(event)) attempt.last();
	}

	#finish({ finishReason, usage }: Extract<Part, { type: 'finish' }>): CompletionChunk {
		const { failures } = this.#options;
		const reason = finishReasonOf(finishReason);
		if (reason === null) throw unfinished(failures, finishReason.raw);
		if (reason === 'content_filter' && !this.#hasText) throw filtered(failures, finishReason.raw);
		if (this.#skipped === 0) {
			return { ...this.#chunk({}), finishReason: reason, usage: usageOf(usage), served: this.#served() };
		}
		// A sentence may lack a word; a call with a hole in its arguments would be another call.
		if (this.#callsTools || reason !== 'stop') throw failures.of('cut', 'sent events that cannot be read');
		const served = this.#served();
		const details = { ...served.details, skipped_events: String(this.#skipped) };
		return { ...this.#chunk({}), finishReason: reason, usage: usageOf(usage), served: { ...served, details } };
	}

	#chunk(part: Partial<CompletionChunk>): CompletionChunk {
		const served = this.#toldWho ? null : this.#served();
		this.#toldWho = true;
		return { text: '', finishReason: null, usage: null, confidence: null, raw: null, ...part, served };
	}

	#served(): ServedBy {
		const { attempt, region } = this.#options;
		return servedBy({
			id: this.#id,
			modelId: this.#modelId,
			raw: this.#raw,
			headers: attempt.responseHeaders,
			region,
			warnings: this.#warnings,
		});
	}
}
