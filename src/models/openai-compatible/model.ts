import type { Clock } from '../../base/clock.ts';
import { createHttpOrigin } from '../../base/http.ts';
import type { OpenAiWire } from '../../contracts/project.ts';
import type { Completion, CompletionChunk, Model, ModelRequest, Upstream } from '../../spec/model.ts';
import { createFailures } from '../exchange/failure.ts';
import type { Json } from '../exchange/json.ts';
import { UnsupportedError } from '../exchange/unsupported.ts';
import { readCompletion } from './answer.ts';
import { parametersFor } from './parameters.ts';
import { PlainAttempt } from './plain-attempt.ts';
import { StreamAttempt } from './stream-attempt.ts';

interface OpenAiCompatibleOptions {
	readonly upstream: Upstream;
	/** Up to and including the version, e.g. `https://api.openai.com/v1`. */
	readonly baseUrl: string;
	readonly apiKey: string | null;
	readonly connectionsMax: number;
	readonly clock: Clock;
	/** The endpoint's dialect; left out: OpenAI's own. */
	readonly wire?: OpenAiWire;
	/** What only this endpoint knows, sent with every call. */
	readonly providerOptions?: Json;
}

const COMPLETION = { read: readCompletion, what: 'a chat completion' };

const OPENAI: OpenAiWire = {
	chatPath: '/chat/completions',
	keyHeader: 'authorization',
	streamUsage: true,
	jsonSchema: true,
	continuation: 'place',
	refused: [],
	renamed: {},
};

/**
 * Any endpoint that speaks OpenAI's chat completions. Sends parameters as they are and keeps every answer's JSON text.
 * One call is one HTTP request. Throws TypeError at once when `baseUrl` is not an http(s) URL.
 */
export function createOpenAiCompatibleModel(options: OpenAiCompatibleOptions): Model {
	const { upstream, baseUrl, apiKey, connectionsMax, clock, wire = OPENAI } = options;
	const origin = createHttpOrigin(baseUrl, { connectionsMax, connectMs: upstream.timeouts.connectMs });
	const failures = createFailures({ upstream: upstream.name, secrets: [apiKey], clock });
	const path = origin.basePath + wire.chatPath;
	const common = ['content-type', 'application/json', 'user-agent', 'plimsoll'];
	if (apiKey !== null) common.push(wire.keyHeader, wire.keyHeader === 'authorization' ? `Bearer ${apiKey}` : apiKey);
	const plainHeaders = [...common, 'accept', 'application/json'];
	const streamHeaders = [...common, 'accept', 'text/event-stream'];

	const attemptOptions = (request: ModelRequest) => ({ request, clock, failures });
	const own = options.providerOptions ?? {};
	const sent = parametersFor({ wire, own, namespaces: ['openai-compatible', upstream.provider] });
	const usage = wire.streamUsage ? { stream_options: { include_usage: true } } : {};
	/** Throws UpstreamError for what the endpoint cannot be asked. */
	const body = ({ parameters, messages, continues }: ModelRequest, stream: boolean) => {
		const turns = continues ? continued(messages, wire.continuation) : { messages };
		const mine = { model: upstream.model, ...turns, stream, ...(stream ? usage : {}) };
		try {
			return JSON.stringify({ ...sent(parameters), ...mine });
		} catch (error) {
			if (!(error instanceof UnsupportedError)) throw error;
			throw failures.of('bad_request', `cannot be asked this: ${error.message}`, { cause: error, sent: false });
		}
	};

	return {
		upstream,
		complete: (request) =>
			new Promise<Completion>((resolve, reject) => {
				const text = body(request, false);
				const attempt = new PlainAttempt({ ...attemptOptions(request), ...COMPLETION }, resolve, reject);
				attempt.start(() => origin.post(path, plainHeaders, text, attempt));
			}),
		stream: (request) =>
			new Promise<AsyncIterable<CompletionChunk>>((resolve, reject) => {
				const text = body(request, true);
				const attempt = new StreamAttempt(attemptOptions(request), resolve, reject);
				attempt.start(() => origin.post(path, streamHeaders, text, attempt));
			}),
		close: () => origin.close(),
	};
}

/** How an endpoint is asked to go on with its last message. */
function continued(messages: ModelRequest['messages'], how: OpenAiWire['continuation']): Json {
	switch (how) {
		case 'place':
			return { messages };
		case 'prefix':
			return { messages: [...messages.slice(0, -1), { ...messages.at(-1), prefix: true }] };
		case 'final_message':
			return { messages, continue_final_message: true, add_generation_prompt: false };
	}
}
