import type { FeatureStats, RequestTrace, TraceFilter } from '../spec/trace.ts';
import type { WriteReport } from './trace-archive.ts';
import type { StatsFilter } from './trace-queries.ts';
import type { RequestSummary } from './trace-schema.ts';

/** What the worker is started with. */
export interface WorkerStart {
	readonly file: string;
	/** Wall time in milliseconds at the start. */
	readonly now: number;
}

/** What the main thread asks of the worker. Every question gets one answer. */
export type Question =
	/** Traces as JSON: one string each is the cheapest to hand over, and a snapshot that nobody can change any more. */
	| { readonly kind: 'write'; readonly traces: readonly string[] }
	| { readonly kind: 'prune'; readonly beforeMs: number }
	| { readonly kind: 'find'; readonly requestId: string; readonly tenantId: string | null }
	| { readonly kind: 'recent'; readonly filter: TraceFilter }
	| { readonly kind: 'stats'; readonly filter: StatsFilter }
	| { readonly kind: 'close' };

/** The answers, by the kind of question. */
export interface Answers {
	readonly write: WriteReport;
	/** How many requests were removed. */
	readonly prune: number;
	readonly find: RequestTrace | null;
	readonly recent: readonly RequestSummary[];
	readonly stats: readonly FeatureStats[];
	readonly close: null;
}

export type ToWorker =
	| { readonly kind: 'question'; readonly id: number; readonly question: Question }
	/** Nobody waits for the answer any more. */
	| { readonly kind: 'cancel'; readonly id: number };

/** An answer with the kind of its question, so that it can be told apart without a cast. */
export type Answer = { [K in keyof Answers]: { readonly kind: K; readonly value: Answers[K] } }[keyof Answers];

export type FromWorker =
	| { readonly kind: 'opened' }
	/** `message` and `internal` are those of the PlimsollError `storage_failed`; the worker then ends. */
	| { readonly kind: 'refused'; readonly message: string; readonly internal: string | null }
	| { readonly kind: 'answer'; readonly id: number; readonly answer: Answer }
	| { readonly kind: 'failed'; readonly id: number; readonly message: string; readonly internal: string | null }
	| { readonly kind: 'warning'; readonly message: string };
