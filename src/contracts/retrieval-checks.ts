import type { ProjectNames } from './compile-project.ts';
import { TOKENS_IN_DEFAULT } from './contract-schema.ts';
import { dangling } from './dangling.ts';
import { FLOOR_STEPS } from './release.ts';
import { K_DEFAULT } from './retrieval-schema.ts';
import { isMapping, valueAt } from './schema-node.ts';
import type { problemAt } from './validation.ts';
import type { FieldPath } from './yaml-document.ts';

type Report = (path: FieldPath, what: Parameters<typeof problemAt>[2]) => void;

/** What a schema cannot say about what a contract retrieves. */
export function checkRetrieval(contract: unknown, project: ProjectNames | null, report: Report): void {
	const retrieval = valueAt(contract, ['retrieval']) ?? null;
	const collection = valueAt(retrieval, ['collection']);
	if (project && typeof collection === 'string' && !project.collections.includes(collection)) {
		report(['retrieval', 'collection'], dangling('collection', collection, project.collections));
	}
	const [k, hitsMin] = [valueAt(retrieval, ['k']) ?? K_DEFAULT, valueAt(retrieval, ['hits_min'])];
	if (typeof k === 'number' && typeof hitsMin === 'number' && hitsMin > k) {
		report(['retrieval', 'hits_min'], {
			message: `${hitsMin} hits can never be reached`,
			expected: `at most k (${k})`,
		});
	}
	const citations = valueAt(contract, ['guards', 'citations']);
	if (retrieval === null && (citations === 'required' || citations === 'valid')) {
		const hint = 'add retrieval, or write off';
		report(['guards', 'citations'], { message: `${citations} citations of a feature that retrieves nothing`, hint });
	}
	checkHelper(contract, project, report);
	checkFloor(contract, report);
}

function checkHelper(contract: unknown, project: ProjectNames | null, report: Report): void {
	const helper = valueAt(contract, ['retrieval', 'helper']);
	if (typeof helper !== 'string') return;
	const path = ['retrieval', 'helper'];
	if (project && !project.upstreams.has(helper)) {
		report(path, dangling('upstream', helper, [...project.upstreams.keys()]));
	}
	const summarises = valueAt(contract, ['retrieval', 'over_tokens_max']) === 'summarise';
	if (!summarises && !waysOf(contract).includes('rewrite')) {
		const hint = 'add rewrite to on_failure.empty_retrieval, write over_tokens_max: summarise, or leave helper out';
		report(path, { message: `${helper} is never asked`, hint });
	}
}

/** The list of `on_failure.empty_retrieval`: each way once, and what ends it at its end. */
function checkFloor(contract: unknown, report: Report): void {
	const path = ['on_failure', 'empty_retrieval'];
	const isList = Array.isArray(valueAt(contract, path));
	const ways = waysOf(contract);
	for (const [index, way] of ways.entries()) {
		const at = isList ? [...path, index] : path;
		const isStep = (FLOOR_STEPS as readonly unknown[]).includes(way);
		if (ways.indexOf(way) !== index) report(at, { message: `${way} stands twice in the list` });
		else if (!isStep && index < ways.length - 1) {
			report(at, { message: 'ends the search, so that what follows is never tried', hint: 'make it the last' });
		}
		if (way === 'abstain' && typeof valueAt(contract, ['guards', 'abstention']) !== 'string') {
			report(at, {
				message: 'abstain needs guards.abstention',
				hint: 'say there how the feature says that it does not know',
			});
		}
		if (isStep && !isMapping(valueAt(contract, ['retrieval']))) {
			report(at, { message: `${way} of a feature that retrieves nothing`, hint: 'add retrieval, or leave it out' });
		}
	}
	if (ways.includes('lexical') && valueAt(contract, ['retrieval', 'mode']) === 'lexical') {
		report(path, { message: 'lexical searches again as retrieval.mode already did', hint: 'leave one of them out' });
	}
}

/** Answers as `answer`: their texts do not matter here. */
function waysOf(contract: unknown): readonly unknown[] {
	const ways = [valueAt(contract, ['on_failure', 'empty_retrieval']) ?? []].flat();
	return ways.map((way) => (isMapping(way) ? 'answer' : way));
}

export function checkRetrievalBudget(contract: unknown, report: Report): void {
	const total = valueAt(contract, ['budget', 'tokens_in_max']) ?? TOKENS_IN_DEFAULT;
	const passages = valueAt(contract, ['retrieval', 'tokens_max']);
	if (typeof total === 'number' && typeof passages === 'number' && passages > total) {
		const expected = `at most budget.tokens_in_max (${total})`;
		report(['retrieval', 'tokens_max'], { message: `${passages} tokens of passages can never fit`, expected });
	}
}
