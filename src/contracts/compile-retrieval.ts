import type { RawContract } from './contract-schema.ts';
import { type Contract, type FailureAction, FLOOR_STEPS, type FloorStep } from './release.ts';
import type { RawEmptyRetrieval } from './retrieval-schema.ts';

/**
 * What a contract retrieves.
 * @param available whether an upstream can be called at all.
 */
export function compileRetrieval(raw: RawContract, available: (upstream: string) => boolean): Contract['retrieval'] {
	const { retrieval, models } = raw;
	if (retrieval === null) return null;
	const floor = [raw.on_failure.empty_retrieval].flat().filter(isFloorStep);
	const needsHelper = floor.includes('rewrite') || retrieval.over_tokens_max === 'summarise';
	const helper = retrieval.helper ?? models.route.find(available);
	return {
		collection: retrieval.collection,
		k: retrieval.k,
		mode: retrieval.mode,
		filters: retrieval.filters,
		hitsMin: retrieval.hits_min,
		scoreMin: retrieval.score_min,
		lexicalScoreMin: retrieval.lexical_score_min,
		floor,
		recallAtK: retrieval.recall_at_k,
		tokensMax: retrieval.tokens_max,
		overTokensMax: retrieval.over_tokens_max,
		helper: needsHelper && helper !== undefined && available(helper) ? helper : null,
	};
}

/** What ends an empty retrieval when nothing that was tried helped. */
export function emptyRetrievalEnd({ on_failure: { empty_retrieval: raw }, guards }: RawContract): FailureAction {
	const last = [raw].flat().at(-1);
	if (last === undefined || isFloorStep(last)) return { action: 'fail_closed' };
	if (typeof last !== 'string') {
		return last.ask_back === undefined
			? { action: 'fall_back', answer: last.fall_back ?? '' }
			: { action: 'ask_back', answer: last.ask_back };
	}
	return last === 'abstain' ? { action: last, answer: guards.abstention ?? '' } : { action: last };
}

type One = Exclude<RawEmptyRetrieval, readonly unknown[]>;

function isFloorStep(one: One): one is FloorStep {
	return (FLOOR_STEPS as readonly unknown[]).includes(one);
}
