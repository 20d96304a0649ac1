import { z } from 'zod';
import type { Clock } from '../../base/clock.ts';
import { Deadline } from '../../base/deadline.ts';
import type { HttpClient } from '../../base/http.ts';
import type { EmbedderConfig } from '../../contracts/project.ts';
import { PlimsollError } from '../../spec/errors.ts';
import { UpstreamError, type UpstreamFailure } from '../../spec/model.ts';
import type { Embedder } from '../../spec/retrieval.ts';
import { prefixOf } from './text-prefix.ts';
import { scaled, unitVector } from './unit-vector.ts';

type Config = Extract<EmbedderConfig, { family: 'openai-compatible' }>;

const answerSchema = z.object({
	data: z.array(z.object({ index: z.int().min(0), embedding: z.array(z.number()) })),
	usage: z
		.object({ prompt_tokens: z.int().min(0) })
		.nullish()
		.catch(null),
});

/** Bytes that one number of an answer may take, with room to spare. */
const NUMBER_BYTES_MAX = 32;
const ERROR_BYTES_MAX = 4_096;

/** Any endpoint that speaks OpenAI's `POST /embeddings`. One attempt a batch: whoever calls decides about another. */
export function createOpenAiEmbedder(config: Config, { http, clock }: { http: HttpClient; clock: Clock }): Embedder {
	const { dimensions, queryPrefix, documentPrefix, model, batchMax } = config;
	return {
		identity: {
			provider: config.baseUrl,
			model,
			revision: '',
			dimensions,
			normalised: true,
			queryPrefix,
			documentPrefix,
			tokensMax: 8_192,
		},
		async embed(texts, kind, signal) {
			const prefix = prefixOf(kind, config);
			const vectors: (readonly number[])[] = [];
			let tokens: number | null = 0;
			for (let start = 0; start < texts.length; start += batchMax) {
				const batch = texts.slice(start, start + batchMax).map((text) => (prefix + text).toWellFormed());
				const part = await embedBatch(batch, signal);
				vectors.push(...part.vectors);
				tokens = tokens === null || part.tokens === null ? null : tokens + part.tokens;
			}
			return { ...scaled(vectors), tokens };
		},
		async close() {},
	};

	async function embedBatch(batch: readonly string[], signal: AbortSignal | null): Promise<Raw> {
		const deadline = new Deadline(clock, () =>
			failed(config, `no answer within ${config.timeoutMs} ms`, { kind: 'timeout_total' }),
		);
		deadline.set(config.timeoutMs);
		try {
			const merged = signal ? AbortSignal.any([signal, deadline.signal]) : deadline.signal;
			const text = await post(config, http, batch, merged);
			return order(config, batch.length, text);
		} catch (cause) {
			signal?.throwIfAborted();
			if (cause instanceof PlimsollError) throw cause;
			if (deadline.signal.aborted) throw deadline.signal.reason;
			throw failed(config, cause instanceof Error ? cause.message : String(cause), { kind: brokenKind(cause), cause });
		} finally {
			deadline.dispose();
		}
	}
}

interface Raw {
	readonly vectors: readonly (readonly number[])[];
	readonly tokens: number | null;
}

async function post(config: Config, http: HttpClient, input: readonly string[], signal: AbortSignal): Promise<string> {
	const headers: Record<string, string> = { 'content-type': 'application/json', accept: 'application/json' };
	if (config.apiKey) headers.authorization = `Bearer ${config.apiKey}`;
	const url = `${config.baseUrl}/embeddings`;
	const body = JSON.stringify({ input, model: config.model, encoding_format: 'float' });
	const response = await http.request({ url, method: 'POST', headers, body, signal });
	const ok = response.statusCode === 200;
	const bytesMax = ok ? input.length * (config.dimensions * NUMBER_BYTES_MAX + 1_024) + 65_536 : ERROR_BYTES_MAX;
	const parts: Buffer[] = [];
	let length = 0;
	for await (const part of response.body) {
		const bytes = Buffer.from(part);
		length += bytes.length;
		if (length > bytesMax && ok) throw failed(config, `the answer is larger than ${bytesMax} bytes`);
		parts.push(bytes);
		if (length > bytesMax) break;
	}
	const text = Buffer.concat(parts).toString();
	if (!ok) {
		const { statusCode: status } = response;
		const retryAfterMs = retryAfterOf(response.headers);
		const kind = kindOf(status);
		throw failed(config, `status ${status}`, { kind, status, retryAfterMs, internal: text.slice(0, ERROR_BYTES_MAX) });
	}
	return text;
}

/** The vectors in the order of the texts, whatever order the endpoint chose, each checked and scaled to unit length. */
function order(config: Config, count: number, text: string): Raw {
	const answer = answerSchema.safeParse(parseJson(text));
	if (!answer.success) throw failed(config, 'the answer is not a list of embeddings', { cause: answer.error });
	const { data, usage } = answer.data;
	if (data.length !== count) throw failed(config, `${data.length} embeddings for ${count} texts`);
	const vectors = new Array<readonly number[] | undefined>(count);
	for (const { index, embedding } of data) {
		if (index >= count || vectors[index]) throw failed(config, `the index ${index} is out of range or comes twice`);
		if (embedding.length !== config.dimensions) {
			throw failed(config, `${embedding.length} dimensions, the configuration says ${config.dimensions}`);
		}
		unitVector(embedding);
		vectors[index] = embedding;
	}
	return { vectors: vectors.filter((vector) => vector !== undefined), tokens: usage?.prompt_tokens ?? null };
}

function parseJson(text: string): unknown {
	try {
		return JSON.parse(text);
	} catch {
		return null;
	}
}

/** What the status of a refusal means; the body is for the operator. */
function kindOf(status: number): UpstreamFailure {
	if (status === 401 || status === 403) return 'authentication';
	if (status === 402) return 'quota';
	if (status === 429) return 'rate_limited';
	if (status >= 500 || status === 408 || status === 409 || status === 425) return 'server_error';
	return status >= 400 ? 'bad_request' : 'nonsense';
}

function brokenKind(cause: unknown): UpstreamFailure {
	const code = cause instanceof Error && 'code' in cause ? String(cause.code) : '';
	if (code === 'UND_ERR_CONNECT_TIMEOUT') return 'timeout_connect';
	// A fault in the numbers has no code of the network's.
	return code === '' ? 'nonsense' : 'connect';
}

/** Milliseconds; null where the endpoint does not say how long. */
function retryAfterOf(headers: Readonly<Record<string, string | string[] | undefined>>): number | null {
	const { 'retry-after-ms': ms, 'retry-after': seconds } = headers;
	if (typeof ms === 'string' && /^\d{1,9}$/.test(ms)) return Number(ms);
	return typeof seconds === 'string' && /^\d{1,6}$/.test(seconds) ? Number(seconds) * 1000 : null;
}

function failed(
	config: Config,
	reason: string,
	why: {
		kind?: UpstreamFailure;
		status?: number;
		retryAfterMs?: number | null;
		cause?: unknown;
		internal?: string;
	} = {},
): PlimsollError {
	const { kind = 'nonsense', internal, ...details } = why;
	const message = `The embedder ${config.name} did not answer as it should: ${reason}.`;
	const cause = new UpstreamError(kind, config.name, message, details);
	return new PlimsollError('retrieval_failed', message, { cause, ...(internal === undefined ? {} : { internal }) });
}
