import pino, { type Logger } from 'pino';
import { FeedbackBody, feedbackAsk, feedbackReceipt } from '../gateway/feedback-routes.ts';
import { checkBody } from '../gateway/json-body.ts';
import type { Answer } from '../runtime/request.ts';
import { configurationError } from '../spec/errors.ts';
import type { Rating } from '../spec/feedback.ts';
import type { IngestProgress, IngestReport, SearchMode, SearchResult } from '../spec/retrieval.ts';
import type { RequestTrace } from '../spec/trace.ts';
import { inProcess } from './in-process.ts';
import { loadProject } from './load-project.ts';
import { openServices, type Services } from './services.ts';

export interface AskOptions {
	readonly question: string;
	/** Earlier turns, oldest first. */
	readonly history?: readonly { readonly role: 'user' | 'assistant'; readonly content: string }[];
	/** Further variables of the feature's prompt. */
	readonly input?: Readonly<Record<string, unknown>>;
	/** Who asks; stored only as a keyed hash. */
	readonly user?: string;
	/** Called with each piece of the answer as the contract lets it go; awaited before the next. */
	readonly onText?: (text: string) => void | Promise<void>;
	/** Ends the request early; the upstream is cancelled. */
	readonly signal?: AbortSignal;
}

/** Either `rating` or `score`; the rest as in `POST /v1/feedback`. */
export interface RateOptions {
	readonly rating?: 'up' | 'down';
	/** From 0 to 1. */
	readonly score?: number;
	readonly label?: string;
	/** Ids of chunks or documents that answer the question. */
	readonly passages?: readonly string[];
	readonly comment?: string;
	readonly question?: string;
	readonly correctedAnswer?: string;
	/** Who rates; stored only as a keyed hash. */
	readonly user?: string;
	readonly signal?: AbortSignal;
}

export interface RateReceipt {
	readonly rating: Rating;
	readonly score: number;
	/** Null: it had none. */
	readonly textsKept: boolean | null;
}

/** A Plimsoll in this process: the same pipeline, budgets, guards and traces as the server's, without HTTP. */
export interface InProcessRuntime {
	/** Throws PlimsollError with one of the codes of the error catalogue. */
	ask(feature: string, options: AskOptions): Promise<Answer & { readonly requestId: string }>;
	search(
		collection: string,
		query: string,
		options?: { k?: number; mode?: SearchMode; filter?: unknown; signal?: AbortSignal },
	): Promise<SearchResult>;
	/** Brings a collection's index up to date with its sources. */
	ingest(
		collection: string,
		options?: { onProgress?: (progress: IngestProgress) => void; signal?: AbortSignal },
	): Promise<IngestReport>;
	/** Rates an earlier request of this tenant, as `POST /v1/feedback` does. Throws `trace_not_found`. */
	rate(requestId: string, rating: RateOptions): Promise<RateReceipt>;
	/** Null when unknown. */
	trace(requestId: string): Promise<RequestTrace | null>;
	close(): Promise<void>;
}

export interface RuntimeOptions {
	/** The project folder: the one with plimsoll.yaml. */
	readonly dir: string;
	/** Default: the process's environment. */
	readonly env?: Readonly<Record<string, string | undefined>>;
	/** The tenant in whose name this process asks. Default `default`. */
	readonly tenant?: string;
	/** Default: warnings and errors, as JSON lines on stderr. */
	readonly log?: Logger;
}

/**
 * Opens a project in this process. One process at a time may use a data folder. Throws `configuration_invalid` with
 * every problem of the project's files, `data_folder_locked`, or `storage_failed`.
 */
export async function createRuntime(options: RuntimeOptions): Promise<InProcessRuntime> {
	const loaded = await loadProject(options.dir, options.env ?? process.env);
	if (!loaded.ok) throw configurationError(loaded.problems);
	const log = options.log ?? pino({ level: 'warn' }, pino.destination({ dest: 2, sync: true }));
	const services = await openServices(loaded.value, log);
	services.watch();
	void services.loadRerankers();
	return overServices(services, options.tenant ?? 'default');
}

function overServices(services: Services, tenantId: string): InProcessRuntime {
	const { runtime, operator } = services;
	return {
		ask: (feature, { question, history = [], input = {}, user, onText, signal }) =>
			inProcess(runtime, { tenantId, signal }, async (context) => {
				const answer = await runtime.chat(context, {
					model: feature,
					messages: [...history, { role: 'user', content: question }],
					variables: input,
					parameters: {},
					sink: onText ? { chunk: ({ text }) => (text === '' ? undefined : onText(text)) } : null,
					user: user ?? null,
				});
				return { ...answer, requestId: context.id };
			}),
		search: (collection, query, { k = 10, mode = null, filter: where, signal } = {}) =>
			inProcess(runtime, { tenantId, signal }, (context) =>
				runtime.search(context, { collection, query, k, mode, where }),
			),
		ingest: (collection, { onProgress, signal } = {}) =>
			operator.ingest(collection, {
				signal: signal ?? new AbortController().signal,
				...(onProgress ? { onProgress } : {}),
			}),
		async rate(requestId, { correctedAnswer, signal, ...said }) {
			const body = { ...said, request_id: requestId, corrected_answer: correctedAnswer };
			const ask = feedbackAsk(checkBody(FeedbackBody, body));
			const kept = await inProcess(runtime, { tenantId, signal }, (context) => runtime.rate(context, ask));
			const { rating, score, texts_kept: textsKept } = feedbackReceipt(ask, kept);
			return { rating, score, textsKept };
		},
		trace: (requestId) => operator.traces.find(requestId, null),
		async close() {
			await runtime.drain();
			await services.close();
		},
	};
}
