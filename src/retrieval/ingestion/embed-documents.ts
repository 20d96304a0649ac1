import type { Embedder } from '../../spec/embedding.ts';
import { PlimsollError } from '../../spec/errors.ts';
import { UpstreamError, type UpstreamFailure } from '../../spec/model.ts';
import type { EmbeddingBudget } from '../embedding/embedding-budget.ts';

/** Calls that one batch may take until every document that can be embedded is: a bad one among 512 is found in 20. */
const CALLS_MAX = 24;
/** One text in so many is embedded once more, with others like it, to see that vectors come in the order of the texts. */
const ORDER_SAMPLE = 128;
/** Two vectors of one text are closer than this, whatever it is embedded together with; those of two texts are not. */
const SAME_COSINE_MIN = 0.99;
const LENGTH_TOLERANCE = 0.01;

/** What a document's own text can be the reason of; everything else would fail for any other text, too. */
const OF_THE_TEXT: ReadonlySet<UpstreamFailure> = new Set([
	'bad_request',
	'context_length',
	'content_filter',
	'nonsense',
]);
/** No other call can do better until a person does something. */
const OF_THE_ACCOUNT: ReadonlySet<UpstreamFailure> = new Set(['authentication', 'quota']);

/** A document's texts. */
export interface Texts {
	readonly texts: readonly string[];
}

export type Vectors = { readonly vectors: readonly Float32Array[] } | { readonly reason: string };

interface Parts {
	readonly embedder: Embedder;
	readonly budget: EmbeddingBudget;
	readonly signal: AbortSignal;
}

/**
 * Embeds documents together. Where a call fails by what is in it, its documents are halved until those that fail alone
 * are found: one bad document costs none of the others. Throws when the fault is with the account, or the run's money is spent.
 * @returns what became of each document, in order.
 */
export async function embedDocuments<T extends Texts>(documents: readonly T[], parts: Parts): Promise<Map<T, Vectors>> {
	const found = new Map<T, Vectors>();
	const waiting: (readonly T[])[] = [documents];
	for (let calls = 0; ; calls++) {
		const part = waiting.pop();
		if (!part) return found;
		const failure = await embedPart(part, parts, found);
		if (!failure) continue;
		if (failure.isOfTheText && part.length > 1 && calls < CALLS_MAX) {
			const half = Math.ceil(part.length / 2);
			waiting.push(part.slice(half), part.slice(0, half));
		} else {
			for (const document of part) found.set(document, { reason: `it could not be embedded: ${failure.reason}` });
		}
	}
}

async function embedPart<T extends Texts>(
	documents: readonly T[],
	{ embedder, budget, signal }: Parts,
	found: Map<T, Vectors>,
): Promise<{ reason: string; isOfTheText: boolean } | null> {
	const texts = documents.flatMap((document) => document.texts);
	try {
		const { vectors } = await embedder.embed(texts, 'document', { signal, run: budget });
		const fault =
			vectorFault(vectors, texts.length, embedder.identity.dimensions) ??
			(await orderFault(texts, vectors, { embedder, budget, signal }));
		if (fault) return { reason: fault, isOfTheText: true };
		let at = 0;
		for (const document of documents) {
			found.set(document, { vectors: vectors.slice(at, at + document.texts.length) });
			at += document.texts.length;
		}
		return null;
	} catch (cause) {
		signal.throwIfAborted();
		if (!(cause instanceof PlimsollError) || cause.code !== 'retrieval_failed') throw cause;
		const kind = cause.cause instanceof UpstreamError ? cause.cause.kind : 'nonsense';
		if (OF_THE_ACCOUNT.has(kind)) throw cause;
		return { reason: cause.message, isOfTheText: OF_THE_TEXT.has(kind) };
	}
}

/** What is wrong with vectors, whoever made them; null when nothing is. */
function vectorFault(vectors: readonly unknown[], count: number, dimensions: number): string | null {
	if (vectors.length !== count) return `${vectors.length} vectors came for ${count} texts`;
	for (const [at, vector] of vectors.entries()) {
		if (!(vector instanceof Float32Array)) return `the vector of text ${at + 1} of ${count} is missing`;
		if (vector.length !== dimensions) return `a vector has ${vector.length} dimensions, not ${dimensions}`;
		const length = Math.sqrt(dot(vector, vector));
		if (!(Math.abs(length - 1) <= LENGTH_TOLERANCE)) return `a vector has the length ${length}, not 1`;
	}
	return null;
}

/** Embeds a sample of the texts again. A provider that mixes up a batch mixes up this one differently, or finds other texts in the places. */
async function orderFault(
	texts: readonly string[],
	vectors: readonly Float32Array[],
	{ embedder, budget, signal }: Parts,
): Promise<string | null> {
	const places = samplePlaces(texts);
	if (places.length === 0) return null;
	const sample = places.map((at) => texts[at] ?? '');
	const again = await embedder.embed(sample, 'document', { signal, run: budget });
	const differs = places.some((at, n) => !(dot(vectors[at], again.vectors[n]) >= SAME_COSINE_MIN));
	return differs ? 'the vectors are not in the order of the texts, or change from call to call' : null;
}

/** Nothing can be out of order in a batch of one. The places depend on the texts alone. */
function samplePlaces(texts: readonly string[]): number[] {
	if (texts.length < 2) return [];
	const places: number[] = [];
	for (let start = 0; start < texts.length; start += ORDER_SAMPLE) {
		const size = Math.min(ORDER_SAMPLE, texts.length - start);
		places.push(start + ((texts[start]?.length ?? 0) % size));
	}
	return places;
}

function dot(a: Float32Array | undefined, b: Float32Array | undefined): number {
	if (!a || !b || a.length !== b.length) return Number.NaN;
	let sum = 0;
	for (let at = 0; at < a.length; at++) sum += (a[at] ?? 0) * (b[at] ?? 0);
	return sum;
}
