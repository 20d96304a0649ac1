import type { Passage } from '../../spec/retrieval.ts';
import { candidatesOf, givesReason, isNegated, type Question } from './question.ts';
import { type Sentence, sentencesOf } from './sentences.ts';
import { type Word, wordsOf } from './words.ts';

/** Work that one request may cause: what lies beyond is not read. */
const SENTENCES_MAX = 600;
const PASSAGE_CHARS_MAX = 128 * 1024;
const CHARS_MAX = 512 * 1024;
const SENTENCE_WORDS_MAX = 200;

/** A sentence with what comparing it needs. */
export interface Candidate {
	readonly sentence: Sentence;
	/** 0-based position of its passage. */
	readonly passage: number;
	/** 0-based position in its passage, headings included. */
	readonly position: number;
	readonly words: readonly Word[];
	readonly stems: ReadonlySet<string>;
	readonly headingStems: ReadonlySet<string>;
}

/** All that the passages offer, with how telling each word of the question is among them. */
export interface Reading {
	readonly question: Question;
	readonly candidates: readonly Candidate[];
	readonly passageStems: readonly ReadonlySet<string>[];
	readonly weights: ReadonlyMap<string, number>;
	readonly weightSum: number;
}

export function read(question: Question, passages: readonly Passage[]): Reading {
	const candidates: Candidate[] = [];
	const passageStems: Set<string>[] = [];
	let chars = 0;
	for (const [passage, { text, title, headingPath }] of passages.entries()) {
		const context = stemsOf(wordsOf(`${title} ${headingPath.join(' ')}`, SENTENCE_WORDS_MAX));
		const stems = new Set(context);
		passageStems.push(stems);
		const part = text.slice(0, Math.min(PASSAGE_CHARS_MAX, CHARS_MAX - chars));
		chars += part.length;
		for (const [position, sentence] of sentencesOf(part, SENTENCES_MAX - candidates.length).entries()) {
			const words = wordsOf(sentence.text, SENTENCE_WORDS_MAX);
			const own = stemsOf(words);
			for (const stem of own) stems.add(stem);
			const headingStems =
				sentence.heading === '' ? context : new Set([...context, ...stemsOf(wordsOf(sentence.heading, 60))]);
			candidates.push({ sentence, passage, position, words, stems: own, headingStems });
		}
	}
	return { question, candidates, passageStems, ...weigh(question, candidates) };
}

function stemsOf(words: readonly Word[]): Set<string> {
	return new Set(words.filter((word) => !word.stop).map((word) => word.stem));
}

/** Inverse sentence frequency, more for names and numbers: what an answer can least do without. */
function weigh(
	question: Question,
	candidates: readonly Candidate[],
): { weights: Map<string, number>; weightSum: number } {
	const weights = new Map<string, number>();
	let weightSum = 0;
	for (const { stem, named } of question.terms) {
		let frequency = 0;
		for (const { stems } of candidates) if (stems.has(stem)) frequency++;
		const weight = Math.log(1 + (candidates.length + 1) / (frequency + 0.5)) * (named ? 1.4 : 1);
		weights.set(stem, weight);
		weightSum += weight;
	}
	return { weights, weightSum };
}

/** What speaks for a sentence as the answer; names in the order of the vector that `sentenceFeatures` returns. */
export const SENTENCE_FEATURES = [
	'coverage',
	'coverage_squared',
	'coverage_of_names',
	'pairs',
	'near_pairs',
	'coverage_by_previous',
	'coverage_by_next',
	'coverage_by_heading',
	'expected_kind_present',
	'expected_kind_near',
	'gives_reason',
	'new_words',
	'log_length',
	'first',
	'is_question',
	'rank',
] as const;

/** One number for each of SENTENCE_FEATURES. Shares are of the question's weight, in [0, 1]. */
export function sentenceFeatures(reading: Reading, index: number): number[] {
	const { question, candidates, weights, weightSum } = reading;
	const candidate = candidates[index];
	if (!candidate || weightSum === 0) return SENTENCE_FEATURES.map(() => 0);
	const { words, stems, sentence } = candidate;
	const before = neighbour(candidates, index, -1);
	const earlier = neighbour(candidates, index, -2);
	const after = neighbour(candidates, index, 1);
	let covered = 0;
	let byPrevious = 0;
	let byNext = 0;
	let byHeading = 0;
	let names = 0;
	let namesCovered = 0;
	for (const { stem, named } of question.terms) {
		const weight = weights.get(stem) ?? 0;
		if (named) names += weight;
		if (stems.has(stem)) {
			covered += weight;
			if (named) namesCovered += weight;
		} else {
			if (candidate.headingStems.has(stem)) byHeading += weight;
			if (before?.stems.has(stem)) byPrevious += weight;
			else if (earlier?.stems.has(stem)) byPrevious += weight / 2;
			if (after?.stems.has(stem)) byNext += weight;
		}
	}
	const positions = candidatesOf(question, words);
	const content = words.filter((word) => !word.stop);
	const coverage = covered / weightSum;
	return [
		coverage,
		coverage * coverage,
		names === 0 ? coverage : namesCovered / names,
		pairShare(question, content, 1),
		pairShare(question, content, 3),
		byPrevious / weightSum,
		byNext / weightSum,
		byHeading / weightSum,
		question.expects === 'thing' || question.expects === 'reason' ? 0.5 : positions.length > 0 ? 1 : 0,
		nearness(reading, words, positions),
		question.expects === 'reason' && givesReason(sentence.text) ? 1 : 0,
		Math.min(1, content.filter((word) => !question.stems.has(word.stem)).length / 12),
		Math.log(1 + words.length) / 5,
		candidate.position === 0 ? 1 : 0,
		sentence.text.endsWith('?') ? 1 : 0,
		1 / (1 + candidate.passage),
	];
}

function neighbour(candidates: readonly Candidate[], index: number, step: number): Candidate | null {
	const other = candidates[index + step];
	return other && other.passage === candidates[index]?.passage ? other : null;
}

/** The share of the question's neighbouring words that stand in this order within `reach` words of each other. */
function pairShare(question: Question, content: readonly Word[], reach: number): number {
	if (question.pairs.size === 0) return 0;
	const found = new Set<string>();
	for (let i = 0; i < content.length; i++) {
		for (let j = i + 1; j <= i + reach && j < content.length; j++) {
			const pair = `${content[i]?.stem} ${content[j]?.stem}`;
			if (question.pairs.has(pair)) found.add(pair);
		}
	}
	return found.size / question.pairs.size;
}

/** How near the best word of the expected kind stands to the question's words: 1 when all touch it. */
function nearness(
	{ question, weights, weightSum }: Reading,
	words: readonly Word[],
	positions: readonly number[],
): number {
	const places = new Map<string, number[]>();
	for (const [at, { stem }] of words.entries()) {
		if (!question.stems.has(stem)) continue;
		const known = places.get(stem);
		if (known) known.push(at);
		else places.set(stem, [at]);
	}
	let best = 0;
	for (const position of positions) {
		let sum = 0;
		for (const [stem, list] of places) {
			let distance = SENTENCE_WORDS_MAX;
			for (const at of list) distance = Math.min(distance, Math.abs(at - position));
			sum += (weights.get(stem) ?? 0) / (1 + distance / 6);
		}
		if (sum > best) best = sum;
	}
	return best / weightSum;
}

/** What speaks for the passages answering at all; names in the order of the vector that `answerFeatures` returns. */
export const ANSWER_FEATURES = [
	'score',
	'margin',
	'coverage_best',
	'coverage_squared',
	'coverage_around',
	'coverage_by_heading',
	'coverage_passage',
	'names_missing_in_best',
	'names_missing_in_passage',
	'numbers_missing_in_passage',
	'pairs_best',
	'expected_kind_present',
	'expected_kind_near',
	'negation_missing',
	'negation_added',
	'opposite',
] as const;

/** One number for each of ANSWER_FEATURES, for the best sentence and its passage. */
export function answerFeatures(reading: Reading, best: number, score: number, secondScore: number): number[] {
	const { question, weights, weightSum } = reading;
	const candidate = reading.candidates[best];
	if (!candidate || weightSum === 0) return ANSWER_FEATURES.map(() => 0);
	const passage = reading.passageStems[candidate.passage] ?? new Set<string>();
	const of = sentenceFeatures(reading, best);
	const value = (name: (typeof SENTENCE_FEATURES)[number]) => of[SENTENCE_FEATURES.indexOf(name)] ?? 0;
	let inPassage = 0;
	let names = 0;
	let namesInPassage = 0;
	let numbers = 0;
	for (const { stem, named, number } of question.terms) {
		if (passage.has(stem)) inPassage += weights.get(stem) ?? 0;
		else if (number) numbers++;
		else if (named) namesInPassage++;
		if (named && !number && !candidate.stems.has(stem)) names++;
	}
	const negated = isNegated(candidate.sentence.text);
	return [
		score,
		Math.min(3, score - secondScore),
		value('coverage'),
		value('coverage_squared'),
		value('coverage') + value('coverage_by_previous'),
		value('coverage_by_heading'),
		inPassage / weightSum,
		Math.min(3, names),
		Math.min(2, namesInPassage),
		Math.min(2, numbers),
		value('near_pairs'),
		value('expected_kind_present'),
		value('expected_kind_near'),
		question.negated && !negated ? 1 : 0,
		negated && !question.negated ? 1 : 0,
		hasOpposite(question, candidate.stems) ? 1 : 0,
	];
}

const OPPOSITES = new Map(
	`most least|first last|more less|more fewer|largest smallest|highest lowest|increase decrease|before after|north south|east west
	northern southern|eastern western|early late|earliest latest|oldest youngest|best worst|longest shortest|majority minority|major minor
	begin end|start end|won lost|win lose|higher lower|larger smaller|greater lesser|maximum minimum|upper lower|strong weak|rich poor
	support oppose|supported opposed|allow prohibit|allowed prohibited|accept reject|accepted rejected|easy difficult|simple complex
	positive negative|always never|all none|old new|public private|inside outside|male female|men women|father mother|son daughter
	king queen|present absent|success failure|right left|rise fall|gain lose|ally enemy|legal illegal|finite infinite|enabled disabled`
		.split(/[|\n]/)
		.flatMap((line) => {
			const [one = '', other = ''] = wordsOf(line, 2).map((word) => word.stem);
			return [
				[one, other],
				[other, one],
			] as const;
		}),
);

/** A word of the question is missing while its opposite is there. */
function hasOpposite(question: Question, stems: ReadonlySet<string>): boolean {
	return question.terms.some(({ stem }) => {
		const opposite = OPPOSITES.get(stem);
		return opposite !== undefined && !stems.has(stem) && stems.has(opposite) && !question.stems.has(opposite);
	});
}
