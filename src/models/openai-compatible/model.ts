import type { Clock } from '../../base/clock.ts';
import { createHttpOrigin } from '../../base/http.ts';
import type { Completion, CompletionChunk, Model, ModelRequest, Upstream } from '../../spec/model.ts';
import type { AttemptOptions } from './attempt.ts';
import { createFailures } from './failure.ts';
import { PlainAttempt } from './plain-attempt.ts';
import { StreamAttempt } from './stream-attempt.ts';

interface OpenAiCompatibleOptions {
	readonly upstream: Upstream;
	/** Up to and including the version, e.g. `https://api.openai.com/v1`. */
	readonly baseUrl: string;
	readonly apiKey: string | null;
	readonly connectionsMax: number;
	readonly clock: Clock;
}

/**
 * Any endpoint that speaks OpenAI's chat completions. Sends parameters as they are and keeps every answer's JSON text.
 * One call is one HTTP request. Throws TypeError at once when `baseUrl` is not an http(s) URL.
 */
export function createOpenAiCompatibleModel(options: OpenAiCompatibleOptions): Model {
	const { upstream, baseUrl, apiKey, connectionsMax, clock } = options;
	const origin = createHttpOrigin(baseUrl, { connectionsMax, connectMs: upstream.timeouts.connectMs });
	const failures = createFailures({ upstream: upstream.name, apiKey, clock });
	const path = `${origin.basePath}/chat/completions`;
	const common = ['content-type', 'application/json', 'user-agent', 'plimsoll'];
	if (apiKey !== null) common.push('authorization', `Bearer ${apiKey}`);
	const plainHeaders = [...common, 'accept', 'application/json'];
	const streamHeaders = [...common, 'accept', 'text/event-stream'];

	const attemptOptions = (request: ModelRequest): AttemptOptions => ({ request, clock, failures });
	const body = ({ parameters, messages }: ModelRequest, stream: boolean) =>
		JSON.stringify(
			stream
				? { ...parameters, model: upstream.model, messages, stream, stream_options: { include_usage: true } }
				: { ...parameters, model: upstream.model, messages, stream },
		);

	return {
		upstream,
		complete: (request) =>
			new Promise<Completion>((resolve, reject) => {
				const attempt = new PlainAttempt(attemptOptions(request), resolve, reject);
				attempt.start(() => origin.post(path, plainHeaders, body(request, false), attempt));
			}),
		stream: (request) =>
			new Promise<AsyncIterable<CompletionChunk>>((resolve, reject) => {
				const attempt = new StreamAttempt(attemptOptions(request), resolve, reject);
				attempt.start(() => origin.post(path, streamHeaders, body(request, true), attempt));
			}),
		close: () => origin.close(),
	};
}
