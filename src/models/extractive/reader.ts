import type { Passage } from '../../spec/retrieval.ts';
import { ANSWER_BIAS, ANSWER_WEIGHTS, SENTENCE_WEIGHTS } from './coefficients.ts';
import {
	ANSWER_FEATURES,
	answerFeatures,
	type Reading,
	read,
	SENTENCE_FEATURES,
	sentenceFeatures,
} from './features.ts';
import { readQuestion } from './question.ts';

/** One quoted sentence. */
interface Quote {
	readonly text: string;
	/** 1-based position of its passage: the `[n]` that cites it. */
	readonly citation: number;
}

interface Finding {
	/** The best sentence; null when the passages have none. */
	readonly best: Quote | null;
	/** The best one, and the runner-up where it is close, in the order of the text. */
	readonly quotes: readonly Quote[];
	/** How likely the passages answer the question at all, in [0, 1]. */
	readonly confidence: number;
}

interface Ranked {
	/** Index among the reading's candidates. */
	readonly index: number;
	readonly score: number;
}

/** A runner-up is quoted too when its score is this close: the odds are then at least one in e that it is the better one. */
const MARGIN_QUOTED = 1;

const sentenceWeights = SENTENCE_FEATURES.map((name) => SENTENCE_WEIGHTS[name]);
const answerWeights = ANSWER_FEATURES.map((name) => ANSWER_WEIGHTS[name]);

/** Finds the sentences that answer the question best. Deterministic; time linear in the passages and capped. */
export function find(question: string, passages: readonly Passage[]): Finding {
	const reading = read(readQuestion(question), passages);
	const ranked = rank(reading, sentenceWeights);
	const [best, second] = ranked;
	if (!best) return { best: null, quotes: [], confidence: 0 };
	const features = answerFeatures(reading, best.index, best.score, second?.score ?? 0);
	const confidence = features[COVERAGE] === 0 ? 0 : 1 / (1 + Math.exp(-(ANSWER_BIAS + dot(features, answerWeights))));
	const chosen = second && best.score - second.score < MARGIN_QUOTED ? [best, second] : [best];
	const quotes = chosen.sort((a, b) => a.index - b.index).map(({ index }) => quoteOf(reading, index));
	return { best: quoteOf(reading, best.index), quotes, confidence };
}

function quoteOf({ candidates }: Reading, index: number): Quote {
	const candidate = candidates[index];
	if (!candidate) throw new RangeError(`no candidate ${index}`);
	return { text: candidate.sentence.text, citation: candidate.passage + 1 };
}

const COVERAGE = ANSWER_FEATURES.indexOf('coverage_best');

/** Every quotable sentence, best first; ties in the order of the text. */
export function rank(reading: Reading, weights: readonly number[]): Ranked[] {
	const ranked: Ranked[] = [];
	for (const [index, candidate] of reading.candidates.entries()) {
		if (!candidate.sentence.isHeading) ranked.push({ index, score: dot(sentenceFeatures(reading, index), weights) });
	}
	return ranked.sort((a, b) => b.score - a.score || a.index - b.index);
}

export function dot(features: readonly number[], weights: readonly number[]): number {
	let sum = 0;
	for (const [i, feature] of features.entries()) sum += feature * (weights[i] ?? 0);
	return sum;
}
