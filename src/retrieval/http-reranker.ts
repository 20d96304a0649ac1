import { z } from 'zod';
import type { Clock } from '../base/clock.ts';
import { Deadline } from '../base/deadline.ts';
import type { HttpClient } from '../base/http.ts';
import { parseJson } from '../base/parse-json.ts';
import { wholeBody } from '../base/whole-body.ts';
import type { BreakerSettings } from '../contracts/breaker-settings.ts';
import type { HostedRerankConfig } from '../contracts/ranking-config.ts';
import { admit, closedBreaker, settle } from '../policy/breaker.ts';
import { RerankError, type Reranker } from '../spec/reranker.ts';

const ANSWER_BYTES_MAX = 1_000_000;
/** A cross-encoder reads so much of a passage at most, and is not sent more. */
const TEXT_CHARS_MAX = 8_000;

/** Left alone after five failures in a row, or half of twenty in ten seconds; probed every five. */
const BREAKER: BreakerSettings = {
	windowMs: 10_000,
	callsMin: 20,
	failureRate: 0.5,
	failuresInARow: 5,
	slowMs: null,
	slowRate: 1,
	probeIntervalMs: 5_000,
	quotaMsMax: 60_000,
};

/** Errors of a connection that was never made. */
const UNSENT = new Set([
	'ECONNREFUSED',
	'ENOTFOUND',
	'EAI_AGAIN',
	'EHOSTUNREACH',
	'ENETUNREACH',
	'UND_ERR_CONNECT_TIMEOUT',
]);

const scored = z.object({ index: z.int().min(0), score: z.number() });
const ranked = z.object({ results: z.array(z.object({ index: z.int().min(0), relevance_score: z.number() })) });

interface Format {
	readonly path: string;
	body(model: string, query: string, texts: readonly string[]): object;
	/** Null for what is not its format. */
	read(answer: unknown): readonly { index: number; score: number }[] | null;
}

const named = (path: string): Format => ({
	path,
	body: (model, query, texts) => ({ model, query, documents: texts, top_n: texts.length }),
	read(answer) {
		const read = ranked.safeParse(answer).data?.results;
		return read?.map(({ index, relevance_score: score }) => ({ index, score })) ?? null;
	},
});

const FORMATS: Readonly<Record<HostedRerankConfig['format'], Format>> = {
	cohere: named('/rerank'),
	jina: named('/rerank'),
	tei: {
		path: '/rerank',
		body: (_, query, texts) => ({ query, texts, truncate: true }),
		read: (answer) => z.array(scored).safeParse(answer).data ?? null,
	},
};

/** A cross-encoder behind an endpoint. One attempt within its time-out, and none while its breaker is open. */
export function createHttpReranker(
	config: HostedRerankConfig,
	{ http, clock }: { http: HttpClient; clock: Clock },
): Reranker {
	let breaker = closedBreaker(clock.monotonic());
	const format = FORMATS[config.format];
	return {
		model: config.model,
		revision: null,
		costMicros: config.costMicros,
		load: async () => {},
		close: async () => {},
		async score(query, texts, { timeoutMs, signal }) {
			const startedAt = clock.monotonic();
			const admission = admit(breaker, BREAKER, startedAt);
			if (!admission.admitted)
				throw new RerankError(`it is left alone for ${Math.ceil(admission.waitMs)} ms after failures`);
			breaker = admission.state;
			const end = (verdict: 'ok' | 'failed' | 'answered' | 'nothing') => {
				const now = clock.monotonic();
				const call = { epoch: admission.state.epoch, verdict, tookMs: now - startedAt, retryAfterMs: null };
				breaker = settle(breaker, BREAKER, { ...call, isProbe: false, now });
			};
			const deadline = new Deadline(clock, () => new Error(`no answer within ${Math.round(timeoutMs)} ms`));
			deadline.set(timeoutMs);
			try {
				const merged = signal ? AbortSignal.any([signal, deadline.signal]) : deadline.signal;
				const { status, text } = await post(query, texts, merged);
				// Who refuses the request is there: only what is wrong with the endpoint counts against it.
				if (status !== 200) {
					end(status >= 500 || status === 429 ? 'failed' : 'answered');
					throw new RerankError(`status ${status}`);
				}
				const scores = inOrder(format.read(parseJson(text)), texts.length);
				end('ok');
				return scores;
			} catch (error) {
				if (error instanceof RerankError) throw error;
				end(signal?.aborted ? 'nothing' : 'failed');
				const cause: unknown = deadline.signal.aborted ? deadline.signal.reason : error;
				// Whoever has the request may bill it, whatever came back.
				const isBilled = !UNSENT.has(String(Object(cause).code));
				throw new RerankError(cause instanceof Error ? cause.message : String(cause), { isBilled, cause });
			} finally {
				deadline.dispose();
			}
		},
	};

	async function post(query: string, texts: readonly string[], signal: AbortSignal) {
		const headers: Record<string, string> = { 'content-type': 'application/json', accept: 'application/json' };
		if (config.apiKey !== null) headers.authorization = `Bearer ${config.apiKey}`;
		const cut = texts.map((text) => text.slice(0, TEXT_CHARS_MAX).toWellFormed());
		const body = JSON.stringify(format.body(config.model, query, cut));
		const url = `${config.baseUrl}${format.path}`;
		const response = await http.request({ url, method: 'POST', headers, body, signal });
		const whole = await wholeBody(response.body, ANSWER_BYTES_MAX);
		if (whole === null) throw new Error(`its answer is larger than ${ANSWER_BYTES_MAX} bytes`);
		return { status: response.statusCode, text: whole.toString() };
	}
}

/** Every text once: an order with holes would put passages last that nobody has judged. */
function inOrder(results: readonly { index: number; score: number }[] | null, count: number): number[] {
	if (results === null) throw new Error('its answer is no list of scores');
	const scores = new Array<number | undefined>(count);
	for (const { index, score } of results) {
		if (index >= count || scores[index] !== undefined)
			throw new Error(`the index ${index} is out of range or comes twice`);
		scores[index] = score;
	}
	const whole = scores.filter((score) => score !== undefined && Number.isFinite(score));
	if (results.length !== count || whole.length !== count)
		throw new Error(`${results.length} scores for ${count} passages`);
	return whole as number[];
}
