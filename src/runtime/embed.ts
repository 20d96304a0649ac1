import { nearest } from '../base/nearest.ts';
import { countTokens, type TokenizerName } from '../base/tokens.ts';
import { mayCall, requireFeature } from '../policy/access.ts';
import { embeddingCost } from '../policy/cost.ts';
import { FAILURES } from '../policy/failure-table.ts';
import type { Embedded, EmbedderSource, EmbeddingCallReport, EmbedOptions } from '../spec/embedding.ts';
import { asPlimsollError, PlimsollError } from '../spec/errors.ts';
import { UpstreamError, type Usage } from '../spec/model.ts';
import type { TextKind } from '../spec/retrieval.ts';
import type { EmbedderTarget, Snapshot } from './feature.ts';
import type { CallAmounts } from './limits.ts';
import type { Places } from './places.ts';
import type { RequestContext, StepNotes } from './request-context.ts';
import { takePlace } from './take-place.ts';

export interface EmbedRequest {
	/** An embedder's name, or one of its aliases. */
	readonly model: string;
	readonly texts: readonly string[];
	readonly kind: TextKind;
	/** Null: as many as the embedder has. */
	readonly dimensions: number | null;
	/** As the client names them; only ever stored as a keyed hash. */
	readonly user: string | null;
}

export interface Embedding {
	/** The embedder's own name. */
	readonly embedder: string;
	readonly vectors: readonly Float32Array[];
	readonly tokens: number;
}

interface EmbedParts {
	readonly embedders: EmbedderSource;
	readonly places: Places;
	/** Told about faults that must not cost the client an answer that it can have. */
	readonly onFault: (error: unknown) => void;
}

/** Of embedders nothing says which encoding they have; where the provider reports no tokens, these are counted. */
export const EMBEDDING_TOKENIZER: TokenizerName = 'o200k_base';

/** A number of a vector in memory and, at most, in a response. */
const NUMBER_BYTES = 4 + 20;

/** One call to an embedder, and what it needs. */
interface Call {
	readonly target: EmbedderTarget;
	readonly request: EmbedRequest;
	readonly parts: EmbedParts;
	readonly notes: StepNotes;
}

/**
 * Embeds the texts of an admitted request: one call within its deadline and everyone's limits, and no second one, since
 * clients that embed in bulk come back by themselves. Throws PlimsollError.
 */
export async function embed(
	context: RequestContext,
	request: EmbedRequest,
	{ snapshot, parts }: { snapshot: Snapshot; parts: EmbedParts },
): Promise<Embedding> {
	const target = await assign(context, request, { snapshot, places: parts.places });
	return context.step('generate', (notes) => callWithinLimits(context, { target, request, parts, notes }));
}

/** assign: whether the caller may, which embedder answers, by when, and a place to run in. */
function assign(
	context: RequestContext,
	{ model, texts, dimensions }: EmbedRequest,
	{ snapshot, places }: { snapshot: Snapshot; places: Places },
): Promise<EmbedderTarget> {
	return context.step('assign', async (notes) => {
		const target = snapshot.embedders.get(model);
		// Before anything is said about which names exist.
		if (!target || !mayCall(context.caller, target.name)) requireFeature(context.caller, model);
		if (!target) throw unknownEmbedder(model, snapshot);
		if (dimensions !== null && dimensions !== target.dimensions) {
			const message = `The embedder ${target.name} makes vectors of ${target.dimensions} dimensions and no others.`;
			throw new PlimsollError('request_invalid', message, { param: 'dimensions' });
		}
		notes.detail.deadline_ms = context.startDeadline(snapshot.bare.deadlineMs, false);
		await context.limits?.assigned({ feature: null, userHash: context.trace.user_id_hash }, notes);
		await takePlace(context, places, notes);
		context.held?.take(texts.length * target.dimensions * NUMBER_BYTES);
		return target;
	});
}

function unknownEmbedder(model: string, { embedders, features, upstreams }: Snapshot): PlimsollError {
	const shown = model.slice(0, 100);
	const guess = nearest(model, [...embedders.keys()]);
	const hint = guess ? ` Did you mean "${guess}"?` : '';
	const message =
		features.has(model) || upstreams.has(model)
			? `"${shown}" makes answers, not vectors; embedders stand under embedders in plimsoll.yaml.`
			: `No embedder is named "${shown}".${hint} GET /v1/models lists the names.`;
	return new PlimsollError('model_not_found', message, { param: 'model' });
}

/** What the call may use is reserved before it, and settled after it. */
async function callWithinLimits(context: RequestContext, call: Call): Promise<Embedding> {
	const { limits } = context;
	const { target, request, notes } = call;
	let counted: number | null = null;
	const count = () => {
		counted ??= request.texts.reduce((sum, text) => sum + countTokens(text, EMBEDDING_TOKENIZER), 0);
		return counted;
	};
	const most = limits?.limitsCalls ? amounts(target, count(), 'estimated') : NOTHING;
	const ticket = (await limits?.reserveCall(most, context.deadline.remainingMs(), notes)) ?? null;
	// Whatever goes wrong in between, what may have been used is taken for used.
	let used: CallAmounts | null = most;
	try {
		const result = await attempt(context, call, count);
		used = result.used;
		if (result.error !== null) throw result.error;
		return { embedder: target.name, vectors: result.vectors, tokens: result.used.tokens };
	} finally {
		await limits?.settleCall(ticket, used).catch(call.parts.onFault);
	}
}

type Attempted =
	| { readonly error: null; readonly vectors: readonly Float32Array[]; readonly used: CallAmounts }
	| { readonly error: PlimsollError; readonly used: CallAmounts | null };

/** One attempt in the trace for each call, and what they cost, whatever happens. */
async function attempt(context: RequestContext, call: Call, count: () => number): Promise<Attempted> {
	const { target } = call;
	const startedMs = context.elapsedMs();
	const reports: EmbeddingCallReport[] = [];
	let over = false;
	const onCall = (report: EmbeddingCallReport) => {
		// A call that was given up learns of it in its own time; by then the trace is written.
		if (over) return;
		reports.push(report);
		note(context, call, report);
	};
	// What is made in process has no calls to tell of.
	const alone = (outcome: EmbeddingCallReport['outcome'], error: string | null) => {
		const tookMs = context.sinceMs(startedMs);
		const texts = call.request.texts.length;
		const tokens = outcome === 'ok' ? count() : 0;
		onCall({ outcome, error, tookMs, texts, tokens, costMicros: 0, source: 'estimated' });
	};
	try {
		context.throwIfOver();
		const { vectors } = await embedded(context, call, onCall);
		if (reports.length === 0) alone('ok', null);
		context.trace.upstream = target.name;
		context.trace.provider = target.provider;
		context.trace.model_name = target.model;
		return { error: null, vectors, used: settle(context, target, reports) };
	} catch (thrown) {
		const failure = failureOf(thrown, context);
		if (failure?.kind === 'cancelled' && !reports.some(({ outcome }) => outcome === 'cancelled')) {
			const cost = embeddingCost(count(), 'estimated', target.price);
			const tookMs = context.sinceMs(startedMs);
			const said = { outcome: failure.kind, error: failure.message, tookMs, texts: call.request.texts.length } as const;
			onCall({ ...said, tokens: count(), costMicros: cost.micros, source: 'estimated' });
		} else if (reports.length === 0) {
			alone(failure?.kind ?? 'nonsense', thrown instanceof Error ? thrown.message : String(thrown));
		}
		const used = reports.some(({ tokens }) => tokens > 0) ? settle(context, target, reports) : null;
		return { error: errorOf(thrown, failure, target), used };
	} finally {
		over = true;
	}
}

function note(context: RequestContext, { target, notes }: Call, report: EmbeddingCallReport): void {
	notes.attempts.push({
		seq: notes.attempts.length,
		upstream: target.name,
		model_name: target.model,
		provider_response_id: null,
		started_ms: context.sinceMs(report.tookMs),
		latency_ms: Math.round(report.tookMs * 1_000) / 1_000,
		time_to_first_token_ms: null,
		outcome: report.outcome,
		error: report.error,
		tokens_in: report.tokens,
		tokens_out: 0,
		cost_usd_micros: report.costMicros,
		kind: null,
	});
}

/** The vectors, or the request's end, whichever comes first: a model in process does not hear of it at once. */
async function embedded(
	context: RequestContext,
	{ target, request, parts }: Call,
	onCall: NonNullable<EmbedOptions['onCall']>,
): Promise<Embedded> {
	const { signal } = context;
	const { promise: over, reject } = Promise.withResolvers<never>();
	const onAbort = () => reject(signal.reason);
	signal.addEventListener('abort', onAbort, { once: true });
	try {
		const made = parts.embedders
			.get(target.name)
			.then((one) => one.embed(request.texts, request.kind, { signal, onCall }));
		return await Promise.race([made, over]);
	} finally {
		signal.removeEventListener('abort', onAbort);
	}
}

function settle(
	{ trace }: RequestContext,
	{ price }: EmbedderTarget,
	reports: readonly EmbeddingCallReport[],
): CallAmounts {
	const tokens = reports.reduce((sum, report) => sum + report.tokens, 0);
	const costMicros = reports.reduce((sum, report) => sum + report.costMicros, 0);
	trace.tokens_in = tokens;
	trace.cost_usd_micros = costMicros;
	trace.cost_source = reports.some(({ source }) => source === 'estimated') ? 'estimated' : 'reported';
	trace.price_version = embeddingCost(0, 'reported', price).priceVersion;
	return { tokens, costMicros };
}

function amounts({ price }: EmbedderTarget, tokens: number, source: Usage['source']): CallAmounts {
	return { tokens, costMicros: embeddingCost(tokens, source, price).micros };
}

const NOTHING: CallAmounts = { tokens: 0, costMicros: 0 };

/** Null for what is no fault of an endpoint. */
function failureOf(thrown: unknown, { signal }: RequestContext): UpstreamError | null {
	if (thrown instanceof PlimsollError && thrown.cause instanceof UpstreamError) return thrown.cause;
	return signal.aborted ? new UpstreamError('cancelled', '', 'The request ended first.', { cause: thrown }) : null;
}

function errorOf(thrown: unknown, failure: UpstreamError | null, { name }: EmbedderTarget): PlimsollError {
	if (failure === null || failure.kind === 'cancelled') return asPlimsollError(thrown);
	const { kind, message, retryAfterMs } = failure;
	// Where an endpoint stands is the operator's to know.
	const isPlace = kind === 'connect' || kind === 'timeout_connect';
	const said = isPlace ? `The embedder ${name} could not be reached; the trace says why.` : message;
	const internal = (thrown instanceof PlimsollError && thrown.internal) || message;
	const wait = retryAfterMs === null ? {} : { retryAfterMs };
	return new PlimsollError(FAILURES[kind].code, said, { cause: thrown, internal, ...wait });
}
