import type { Canary } from '../contracts/canary.ts';
import type { CanaryGroup } from '../contracts/canary-set.ts';
import type { CanaryOutcome } from '../spec/canaries.ts';
import type { Hit, SearchRequest, SearchResult } from '../spec/retrieval.ts';

/** Enough to keep a core busy, few enough to leave requests room. */
const AT_ONCE = 2;

/** Searches one collection, live or not yet, as requests do. */
export type CanarySearch = (request: Omit<SearchRequest, 'collection'>) => Promise<SearchResult>;

/** What a run of canaries found out. */
export interface CanaryReport {
	/** The generation that answered; null when none did. */
	readonly generation: string | null;
	/** As given, without those that were not asked. */
	readonly groups: readonly { readonly group: CanaryGroup; readonly outcomes: readonly CanaryOutcome[] }[];
	/** Answered by one leg where two should have. */
	readonly degraded: number;
}

interface RunOptions {
	readonly signal: AbortSignal;
	/** Which canaries are asked; default: all. */
	readonly picks?: (canary: Canary) => boolean;
	readonly onDone?: (done: number) => void;
}

/**
 * Asks every canary and looks where its answer stands. A search that fails leaves its canary unanswered; only the signal
 * ends the run early, with its reason.
 */
export async function runCanaries(
	search: CanarySearch,
	groups: readonly CanaryGroup[],
	{ signal, picks = () => true, onDone = () => {} }: RunOptions,
): Promise<CanaryReport> {
	const asked = groups.map((group) => ({ group, canaries: group.canaries.filter(picks) }));
	const waiting = asked.flatMap(({ group, canaries }) =>
		canaries.map((canary) => ({ canary, k: canary.k ?? group.k })),
	);
	const outcomes = new Map<Canary, CanaryOutcome>();
	let generation: string | null = null;
	let degraded = 0;
	const work = async () => {
		for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
			signal.throwIfAborted();
			const { canary, k } = next;
			const answer = await ask(search, canary, { k, signal });
			if (typeof answer === 'string') outcomes.set(canary, { ...ofCanary(canary), rank: null, unanswered: answer });
			else {
				generation = answer.generation;
				if (answer.degraded !== null) degraded++;
				outcomes.set(canary, { ...ofCanary(canary), rank: rankOf(canary, answer.hits), unanswered: null });
			}
			onDone(outcomes.size);
		}
	};
	await Promise.all(Array.from({ length: AT_ONCE }, work));
	const inOrder = asked.map(({ group, canaries }) => ({
		group,
		outcomes: canaries.flatMap((canary) => outcomes.get(canary) ?? []),
	}));
	return { generation, groups: inOrder, degraded };
}

/** The result, or why there is none. */
async function ask(
	search: CanarySearch,
	canary: Canary,
	{ k, signal }: { k: number; signal: AbortSignal },
): Promise<SearchResult | string> {
	try {
		const { query, filter, tenant } = canary;
		const caller = tenant === null ? 'operator' : { tenantId: tenant, user: null, groups: [] };
		return await search({ query, k, mode: null, filter: null, ...(filter && { where: filter }), caller, signal });
	} catch (thrown) {
		signal.throwIfAborted();
		return thrown instanceof Error ? thrown.message : String(thrown);
	}
}

function ofCanary({ id, hash }: Canary): Pick<CanaryOutcome, 'id' | 'hash'> {
	return { id, hash };
}

/** Of the first chunk that answers it; null when none does. */
function rankOf({ documents, source, chunkText }: Canary, hits: readonly Hit[]): number | null {
	const wanted = chunkText === null ? null : flat(chunkText);
	const answers = (hit: Hit) =>
		(documents.length === 0 || documents.includes(hit.documentId)) &&
		(source === null || hit.source === source) &&
		(wanted === null || flat(hit.text).includes(wanted));
	return hits.find(answers)?.rank ?? null;
}

function flat(text: string): string {
	return text.normalize('NFKC').replace(/\s+/gu, ' ').trim().toLowerCase();
}
