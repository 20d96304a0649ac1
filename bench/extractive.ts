import { performance } from 'node:perf_hooks';
import { ABSTENTION, createExtractiveModel } from '../src/models/extractive/model.ts';
import { find } from '../src/models/extractive/reader.ts';
import type { Passage } from '../src/spec/retrieval.ts';
import { flatPrice } from '../test/support/prices.ts';
import { loadSquad, type SquadCase } from './squad.ts';

/** How local/extractive does on SQuAD 2.0 with the right paragraph in context. Shares in [0, 1]. */
interface ExtractiveReport {
	readonly questions: number;
	readonly answerable: number;
	/** Of the answerable questions that it answered: the quoted one or two sentences hold an accepted answer. */
	readonly quoteHoldsAnswer: number;
	/** Of all answerable questions, by the best sentence alone, and by the one or two that it would quote if it never abstained. */
	readonly bestHoldsAnswer: number;
	readonly forcedQuoteHoldsAnswer: number;
	/** Of all answerable questions: answered, and the quote holds an accepted answer. */
	readonly answeredAndHolds: number;
	/** Of all decisions to answer or to abstain: how many are right; and what the two fixed guesses would reach. */
	readonly decisionAccuracy: number;
	readonly alwaysAnswerAccuracy: number;
	readonly alwaysAbstainAccuracy: number;
	/** Of the abstentions: how many were right. Of the unanswerable questions: how many were abstained from. */
	readonly abstainPrecision: number;
	readonly abstainRecall: number;
	/** With the paragraph of another article in context: how often it abstains. */
	readonly offTopicAbstains: number;
	readonly sentencesQuoted: number;
	/** Median wall time of one call. */
	readonly microsecondsPerCall: number;
}

/** Null where the data set is absent. @param articles `held_out`: the half that the coefficients were not fitted on. */
export async function benchExtractive(articles: 'held_out' | 'fitted' | 'all'): Promise<ExtractiveReport | null> {
	const squad = loadSquad();
	if (squad === null) return null;
	const cases = squad.filter(({ article }) => articles === 'all' || article % 2 === (articles === 'held_out' ? 1 : 0));
	const results = [];
	for (const [i, one] of cases.entries()) {
		const other = cases[(i + Math.floor(cases.length / 2)) % cases.length] ?? one;
		results.push(await judge(one, other.passage));
	}
	return summarise(results);
}

interface Result {
	readonly answerable: boolean;
	readonly abstained: boolean;
	readonly holds: boolean;
	readonly bestHolds: boolean;
	readonly forcedHolds: boolean;
	readonly sentences: number;
	readonly offTopicAbstained: boolean;
	readonly microseconds: number;
}

const timeouts = { connectMs: 1000, firstTokenMs: 1000, idleMs: 1000, totalMs: 1000 };
const model = createExtractiveModel({
	name: 'local/extractive',
	provider: 'local',
	model: 'extractive',
	contextTokensMax: 100_000,
	tokensOutMax: 1000,
	tokensOutParameter: 'max_tokens',
	tokenizer: 'o200k_base',
	sideEffects: false,
	continuesTurn: false,
	timeouts,
	price: flatPrice('local', 0, 0),
});

async function ask(question: string, passages: readonly Passage[]): Promise<string> {
	const { signal } = new AbortController();
	const grounding = { question, passages, abstention: null };
	return (await model.complete({ messages: [], parameters: {}, grounding, signal, timeouts })).text;
}

async function judge({ question, passage, answers }: SquadCase, offTopic: Passage): Promise<Result> {
	const started = performance.now();
	const text = await ask(question, [passage]);
	const microseconds = (performance.now() - started) * 1000;
	const holds = (quoted: string) => answers.some((answer) => quoted.includes(answer));
	const abstained = text === ABSTENTION;
	const { best, quotes } = find(question, [passage]);
	return {
		answerable: answers.length > 0,
		abstained,
		holds: !abstained && holds(text),
		bestHolds: holds(best?.text ?? ''),
		forcedHolds: holds(quotes.map((quote) => quote.text).join(' ')),
		sentences: abstained ? 0 : quotes.length,
		offTopicAbstained: (await ask(question, [offTopic])) === ABSTENTION,
		microseconds,
	};
}

function summarise(results: readonly Result[]): ExtractiveReport {
	const share = (of: readonly Result[], test: (result: Result) => boolean) => of.filter(test).length / of.length;
	const answerable = results.filter((result) => result.answerable);
	const unanswerable = results.filter((result) => !result.answerable);
	const answered = results.filter((result) => !result.abstained);
	const times = results.map((result) => result.microseconds).sort((a, b) => a - b);
	return {
		questions: results.length,
		answerable: answerable.length,
		quoteHoldsAnswer: share(
			answerable.filter((result) => !result.abstained),
			(result) => result.holds,
		),
		bestHoldsAnswer: share(answerable, (result) => result.bestHolds),
		forcedQuoteHoldsAnswer: share(answerable, (result) => result.forcedHolds),
		answeredAndHolds: share(answerable, (result) => result.holds),
		decisionAccuracy: share(results, (result) => result.abstained !== result.answerable),
		alwaysAnswerAccuracy: answerable.length / results.length,
		alwaysAbstainAccuracy: unanswerable.length / results.length,
		abstainPrecision: share(
			results.filter((result) => result.abstained),
			(result) => !result.answerable,
		),
		abstainRecall: share(unanswerable, (result) => result.abstained),
		offTopicAbstains: share(results, (result) => result.offTopicAbstained),
		sentencesQuoted: answered.reduce((sum, result) => sum + result.sentences, 0) / answered.length,
		microsecondsPerCall: times[Math.floor(times.length / 2)] ?? 0,
	};
}

if (import.meta.main) {
	for (const articles of ['held_out', 'fitted', 'all'] as const) {
		const report = await benchExtractive(articles);
		if (report === null) {
			console.log('skipped: needs ../shared/data/squad2-dev');
			break;
		}
		console.log(`local/extractive, SQuAD 2.0 dev, ${articles.replace('_', ' ')} articles`);
		console.table(Object.fromEntries(Object.entries(report).map(([name, value]) => [name, Number(value.toFixed(3))])));
	}
}
