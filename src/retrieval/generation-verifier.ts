import type { Clock } from '../base/clock.ts';
import type { VerificationReport } from '../spec/generations.ts';
import type { IndexStore } from '../spec/index-store.ts';
import type { RecordStore } from '../spec/records.ts';
import { countDocuments, takeCensus } from './candidate-census.ts';
import type { CollectionState } from './catalogue.ts';
import type { QueryEmbedder } from './embedding/query-embedder.ts';
import { type LiveIndex, openIndex } from './live-index.ts';
import type { Manifest } from './manifest.ts';
import { createRetriever } from './search.ts';
import { type Candidate, type Check, verify } from './verification.ts';

interface Parts {
	readonly store: IndexStore;
	readonly queries: QueryEmbedder;
	readonly records: RecordStore;
	readonly clock: Clock;
	/** What a generation is held to before it goes live, in order. */
	readonly checks: readonly Check[];
}

/** What a candidate is checked with, besides its own index. */
export interface Evidence extends Pick<Candidate, 'embedder' | 'space' | 'run' | 'base' | 'signal'> {
	/** As they were taken when it was built; the run that builds it takes them. */
	readonly statistics: unknown;
}

export interface Verified {
	readonly report: VerificationReport;
	/** Null: not all chunks could be read. */
	readonly statistics: unknown;
}

/** Opens sealed generations past every cache and runs the checks on them. */
export class GenerationVerifier {
	readonly #parts: Parts;

	constructor(parts: Parts) {
		this.#parts = parts;
	}

	/** One that cannot be opened fails the check `damage`. */
	async verify(state: CollectionState, manifest: Manifest, evidence: Evidence): Promise<Verified> {
		const { store, clock, checks } = this.#parts;
		let index: LiveIndex;
		try {
			index = await openIndex(store, manifest, { fresh: true });
		} catch (thrown) {
			const reason = thrown instanceof Error ? thrown.message : String(thrown);
			const message = `it cannot be opened: ${reason}; build another one with plimsoll index rebuild ${manifest.collection}`;
			const damage = { check: 'damage', passed: false, overrulable: false, message, detail: { reason } };
			return { report: { at: clock.now(), passed: false, checks: [damage] }, statistics: null };
		}
		try {
			const { run } = evidence;
			const census = once(async () =>
				run ? takeCensus(index, { ...evidence, run }) : countDocuments(index, evidence.statistics),
			);
			const candidate = await this.#candidate(state, { index, evidence, census: census.get });
			const report = await verify(candidate, { checks, clock });
			return { report, statistics: census.got?.statistics ?? null };
		} finally {
			index.reader.close();
		}
	}

	async #candidate(
		state: CollectionState,
		{ index, evidence, census }: { index: LiveIndex; evidence: Evidence; census: Candidate['census'] },
	): Promise<Candidate> {
		const { queries, clock, records } = this.#parts;
		const { name } = state.config;
		const live = (await records.generations.live()).find(({ collection }) => collection === name);
		const asLive: CollectionState = { ...state, index, problem: null };
		const view = { state: () => asLive, status: () => [], examine: async () => asLive };
		const retriever = createRetriever({ catalogue: view, queries, clock });
		return {
			config: state.config,
			index,
			embedder: evidence.embedder,
			space: evidence.space,
			run: evidence.run,
			base: evidence.base,
			census,
			signal: evidence.signal,
			live: state.index && { index: state.index, statistics: live?.statistics ?? null },
			search: (request) => retriever.search({ caller: 'operator', ...request, collection: name }),
		};
	}
}

/** Makes a value when it is first asked for; `got` is null until it is there. */
function once<T>(make: () => Promise<T>) {
	let made: Promise<T> | null = null;
	const kept = {
		got: null as T | null,
		async get(): Promise<T> {
			made ??= make();
			kept.got = await made;
			return kept.got;
		},
	};
	return kept;
}
