import { BoundedQueue } from '../base/bounded-queue.ts';
import type { Clock } from '../base/clock.ts';
import type { FeedbackPolicy } from '../contracts/project.ts';
import { PlimsollError } from '../spec/errors.ts';
import type { Feedback, FeedbackDesk, FeedbackStore, RatedRequest } from '../spec/feedback.ts';
import type { RequestTrace, TraceReader } from '../spec/trace.ts';

/** Ratings that wait for the disk at once. */
const WAITING_MAX = 1_000;
/** Those that come within this time are written together, since each write waits for the disk. */
const TOGETHER_MS = 20;
const PRUNE_EVERY_MS = 3_600_000;
const ROWS_PER_TENANT_MAX = 100_000;

interface Parts {
	readonly traces: Pick<TraceReader, 'find'>;
	readonly store: FeedbackStore;
	readonly policy: () => FeedbackPolicy;
	readonly clock: Clock;
	readonly warn: (message: string) => void;
}

interface Waiting {
	readonly feedback: Feedback;
	resolve(): void;
	reject(thrown: unknown): void;
}

/** Ratings on their way to the disk, kept for as long as the project says. */
export class FeedbackBook implements FeedbackDesk {
	readonly #parts: Parts;
	readonly #waiting = new BoundedQueue<Waiting>(WAITING_MAX);
	#cancelWrite: (() => void) | null = null;
	#cancelPrune: () => void = () => {};

	constructor(parts: Parts) {
		this.#parts = parts;
	}

	/** Removes what is too old, now and every hour. */
	start(): void {
		void this.#prune();
		this.#cancelPrune = this.#parts.clock.after(PRUNE_EVERY_MS, () => this.start());
	}

	async find(requestId: string, tenantId: string): Promise<RatedRequest | null> {
		const trace = await this.#parts.traces.find(requestId, tenantId);
		return trace && ratedBy(trace);
	}

	put(given: Feedback): Promise<Feedback> {
		const feedback = this.#parts.policy().textRetentionMs > 0 ? given : withoutTexts(given);
		const { promise, resolve, reject } = Promise.withResolvers<void>();
		if (!this.#waiting.push({ feedback, resolve, reject })) {
			return Promise.reject(new PlimsollError('overloaded', `${WAITING_MAX} ratings wait for the disk already.`));
		}
		this.#cancelWrite ??= this.#parts.clock.after(TOGETHER_MS, () => void this.#write());
		return promise.then(() => feedback);
	}

	async close(): Promise<void> {
		this.#cancelPrune();
		this.#cancelWrite?.();
		await this.#write();
	}

	async #write(): Promise<void> {
		this.#cancelWrite = null;
		const all = this.#waiting.drain();
		if (all.length === 0) return;
		try {
			await this.#parts.store.put(all.map(({ feedback }) => feedback));
			for (const { resolve } of all) resolve();
		} catch (thrown) {
			for (const { reject } of all) reject(thrown);
		}
	}

	async #prune(): Promise<void> {
		const { store, policy, clock, warn } = this.#parts;
		const { retentionMs, textRetentionMs } = policy();
		const now = clock.now();
		const bounds = { before: now - retentionMs, textsBefore: now - textRetentionMs };
		try {
			await store.prune({ ...bounds, rowsPerTenantMax: ROWS_PER_TENANT_MAX });
		} catch (thrown) {
			warn(`old ratings could not be removed: ${thrown instanceof Error ? thrown.message : String(thrown)}`);
		}
	}
}

/** Null for what answered nobody, such as a refusal before its feature was known, or another rating. */
function ratedBy(trace: RequestTrace): RatedRequest | null {
	const { feature, upstream, retrieval_collection: collection, retrieval_generation: generation } = trace;
	if (feature === null && upstream === null && collection === null) return null;
	const used = trace.retrieval_doc_ids;
	const cited = citedOf(trace).flatMap((number) => used[number - 1] ?? []);
	const chunks = [...new Set([...cited, ...used])];
	return { feature, upstream, collection, generation, chunks, userHash: trace.user_id_hash };
}

/** The numbers of the passages that the answer cites, as the step respond has them. */
function citedOf({ steps }: RequestTrace): number[] {
	const cited = steps.find(({ stage }) => stage === 'respond')?.detail.cited;
	return typeof cited === 'string' ? cited.split(' ').map(Number) : [];
}

function withoutTexts(feedback: Feedback): Feedback {
	return { ...feedback, comment: null, question: null, correctedAnswer: null };
}
