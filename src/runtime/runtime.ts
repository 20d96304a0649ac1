import type { Clock } from '../base/clock.ts';
import type { Random } from '../base/random.ts';
import { requireSearch } from '../policy/access.ts';
import { Breakers } from '../policy/breakers.ts';
import { RetryBudgets } from '../policy/retry-budget.ts';
import type { Alerts } from '../spec/alerts.ts';
import type { EmbedderSource } from '../spec/embedding.ts';
import { asPlimsollError, type PlimsollError } from '../spec/errors.ts';
import type { Feedback, FeedbackDesk } from '../spec/feedback.ts';
import type { Authenticator } from '../spec/identity.ts';
import type { Retriever, SearchRequest, SearchResult } from '../spec/retrieval.ts';
import type { SharedState } from '../spec/shared-state.ts';
import type { TraceSink } from '../spec/trace.ts';
import { admit, type Credentials } from './admit.ts';
import { AnswerTimes } from './answer-times.ts';
import { BufferedBytes, type HeldBytes } from './buffered-bytes.ts';
import { ContextSizes } from './context-sizes.ts';
import { Door } from './door.ts';
import { type Embedding, type EmbedRequest, embed } from './embed.ts';
import type { Snapshot } from './feature.ts';
import { type FeedbackAsk, rate } from './feedback.ts';
import { answer, countAsked } from './pipeline.ts';
import { Places, type PlacesView } from './places.ts';
import { Pressure } from './pressure.ts';
import { draining } from './queue-refusal.ts';
import type { Answer, ChatRequest } from './request.ts';
import { RequestContext } from './request-context.ts';
import { note } from './retrieve.ts';
import { searchWithin } from './search-within.ts';
import { takePlace } from './take-place.ts';
import { UpstreamLoad } from './upstream-load.ts';

export interface RuntimeParts {
	readonly clock: Clock;
	readonly random: Random;
	readonly newId: (prefix: string) => string;
	readonly retriever: Retriever;
	readonly embedders: EmbedderSource;
	readonly traces: TraceSink;
	readonly authenticator: Authenticator;
	readonly feedback: FeedbackDesk;
	/** The counters behind limits. */
	readonly sharedState: SharedState;
	/** Where it goes what a person should look at. */
	readonly alerts: Alerts;
	/** Told about faults that no request can be told about. */
	readonly onFault: (error: unknown) => void;
	/** A keyed hash of the user within the tenant: the only form in which a user is stored. */
	readonly hashUser: (tenantId: string, user: string) => string;
}

/** What a client may ask of a search. */
export type SearchAsk = Pick<SearchRequest, 'collection' | 'query' | 'k' | 'mode' | 'where'>;

/** A search alone has no contract: this is its deadline, milliseconds. */
const SEARCH_MS_MAX = 10_000;

export interface AdmissionView extends PlacesView {
	readonly bufferedBytes: number;
	readonly bufferedBytesMax: number;
}

/** Runs requests. Each that enters ends with exactly one outcome and one trace. */
export class Runtime {
	/** Which upstreams are left alone. Outlives every snapshot. */
	readonly breakers: Breakers;
	/** What retries may still add. */
	readonly retries: RetryBudgets;
	readonly #parts: RuntimeParts & {
		readonly retries: RetryBudgets;
		readonly breakers: Breakers;
		readonly load: UpstreamLoad;
		readonly times: AnswerTimes;
		readonly places: Places;
		readonly contexts: ContextSizes;
	};
	readonly #door = new Door();
	readonly #bytes: BufferedBytes;
	readonly #pressure: Pressure;
	#snapshot: Snapshot;

	constructor(parts: RuntimeParts, snapshot: Snapshot) {
		const isShared = () => parts.sharedState.health().backend === 'redis';
		const places = new Places({ clock: parts.clock, isShared }, snapshot.admission);
		this.breakers = new Breakers(parts.clock);
		this.retries = new RetryBudgets(snapshot.retries);
		this.#parts = {
			...parts,
			places,
			retries: this.retries,
			breakers: this.breakers,
			load: new UpstreamLoad(),
			times: new AnswerTimes(),
			contexts: new ContextSizes(parts),
		};
		this.#bytes = new BufferedBytes(snapshot.admission.bufferedBytesMax);
		this.#pressure = new Pressure(parts.clock, places);
		this.#snapshot = snapshot;
		this.breakers.update(snapshot.breakers);
	}

	/** What new requests see. Requests that run keep the snapshot they began with. */
	get snapshot(): Snapshot {
		return this.#snapshot;
	}

	replace(snapshot: Snapshot): void {
		this.#snapshot = snapshot;
		this.#parts.places.update(snapshot.admission);
		this.#parts.contexts.keep(snapshot.features);
		this.breakers.update(snapshot.breakers);
		this.retries.update(snapshot.retries);
		this.#bytes.max = snapshot.admission.bufferedBytesMax;
	}

	/** A request that has not been admitted yet; it must be ended, whatever happens to it. */
	open(): RequestContext {
		const { clock, newId, traces } = this.#parts;
		return new RequestContext({ id: newId('req'), clock, sink: traces });
	}

	async admit(context: RequestContext, credentials: Credentials): Promise<void> {
		const { admission: rules, limits: table, requestMsMax } = this.#snapshot;
		const { authenticator, clock, sharedState: state, places, onFault } = this.#parts;
		const limits = { state, clock, table, requestMsMax: Math.max(requestMsMax, SEARCH_MS_MAX) };
		await this.#ending(context, () =>
			admit(context, credentials, {
				door: this.#door,
				bytes: this.#bytes,
				places,
				authenticator,
				rules,
				limits,
				onFault,
			}),
		);
	}

	/** Answers an admitted request and ends it. */
	async chat(context: RequestContext, request: ChatRequest): Promise<Answer> {
		if (this.#snapshot.admission.adaptiveMin !== null) context.onLeave(() => this.#pressure.observe(context.trace));
		this.#noteUser(context, request.user);
		const result = await this.#ending(context, () =>
			answer(context, request, { snapshot: this.#snapshot, parts: this.#parts }),
		);
		context.end(null);
		return result;
	}

	/** Counts what an admitted request would send, and ends it. No upstream is asked. */
	async countTokens(context: RequestContext, request: ChatRequest): Promise<number> {
		this.#noteUser(context, request.user);
		const result = await this.#ending(context, () =>
			countAsked(context, request, { snapshot: this.#snapshot, parts: this.#parts }),
		);
		context.end(null);
		return result;
	}

	/** Embeds texts for an admitted request and ends it. */
	async embed(context: RequestContext, request: EmbedRequest): Promise<Embedding> {
		this.#noteUser(context, request.user);
		const result = await this.#ending(context, () =>
			embed(context, request, { snapshot: this.#snapshot, parts: this.#parts }),
		);
		context.end(null);
		return result;
	}

	/** Searches a collection for an admitted request and ends it. */
	async search(context: RequestContext, request: SearchAsk): Promise<SearchResult> {
		context.startDeadline(SEARCH_MS_MAX, false);
		const result = await this.#ending(context, () =>
			context.step('retrieve', async (notes) => {
				requireSearch(context.caller);
				await takePlace(context, this.#parts.places, notes);
				const found = await searchWithin(
					context,
					{ ...request, filter: null },
					{
						...this.#parts,
						msMax: context.deadlineMs,
						costMicrosMax: null,
						notes,
					},
				);
				note(context, notes, { result: found, used: found.hits });
				return found;
			}),
		);
		context.end(null);
		return result;
	}

	/** Takes an admitted request's rating of an earlier one and ends it. Returns what was kept. */
	async rate(context: RequestContext, ask: FeedbackAsk): Promise<Feedback> {
		this.#noteUser(context, ask.user);
		const kept = await this.#ending(context, () => rate(context, ask, this.#parts));
		context.end(null);
		return kept;
	}

	/** How many requests are inside: running, waiting, or on their way there. */
	get inside(): number {
		return this.#door.inside;
	}

	/** Who runs and who waits, and what is held in memory for them. */
	get admission(): AdmissionView {
		return { ...this.#parts.places.view(), bufferedBytes: this.#bytes.held, bufferedBytesMax: this.#bytes.max };
	}

	/** Room for a large body outside of the pipeline, until it is closed. Throws `overloaded`. */
	hold(tenantId: string): HeldBytes {
		return this.#bytes.open(tenantId);
	}

	/** Whether new requests are turned away because the server stops. */
	get draining(): boolean {
		return this.#door.closed;
	}

	/**
	 * Lets nobody in any more; resolves when the last request has ended. Who waits for a place still gets it within half of
	 * the time, so that what runs has the other half to end; then it is told to go elsewhere.
	 * @param msMax how long the caller will wait; left out: until all have ended.
	 */
	async drain(msMax: number | null = null): Promise<void> {
		const refuse = () => this.#parts.places.refuseWaiting(draining());
		const cancel = msMax === null ? () => {} : this.#parts.clock.after(msMax / 2, refuse);
		await this.#door.close();
		cancel();
	}

	/** What a token proves goes before what a body claims. */
	#noteUser({ caller, trace }: RequestContext, claimed: string | null): void {
		const user = caller.user ?? claimed;
		if (user !== null) trace.user_id_hash = this.#parts.hashUser(caller.tenantId, user);
	}

	async #ending<T>(context: RequestContext, run: () => Promise<T>): Promise<T> {
		try {
			return await run();
		} catch (thrown) {
			const error: PlimsollError = asPlimsollError(thrown);
			context.end(error);
			throw error;
		}
	}
}
