import { seededRandom } from '../src/base/random.ts';
import {
	ANSWER_FEATURES,
	answerFeatures,
	type Reading,
	read,
	SENTENCE_FEATURES,
	sentenceFeatures,
} from '../src/models/extractive/features.ts';
import { readQuestion } from '../src/models/extractive/question.ts';
import { dot, rank } from '../src/models/extractive/reader.ts';
import { loadSquad, type SquadCase } from './squad.ts';

// Fits the coefficients of local/extractive on half of the articles and prints them for coefficients.ts.

interface Example {
	readonly reading: Reading;
	readonly sentences: readonly { readonly features: readonly number[]; readonly holds: boolean }[];
	readonly answerable: boolean;
	readonly weight: number;
}

const random = seededRandom(20_261_123);
const pick = <T>(list: readonly T[]): T => {
	const item = list[Math.floor(random.next() * list.length)];
	if (item === undefined) throw new RangeError('nothing to pick from');
	return item;
};

function example(one: SquadCase, passages: readonly SquadCase['passage'][], right: number, weight: number): Example {
	const reading = read(readQuestion(one.question), passages);
	const sentences = reading.candidates
		.map((candidate, index) => ({ candidate, index }))
		.filter(({ candidate }) => !candidate.sentence.isHeading)
		.map(({ candidate, index }) => ({
			features: sentenceFeatures(reading, index),
			holds: candidate.passage === right && one.answers.some((answer) => candidate.sentence.text.includes(answer)),
		}));
	return { reading, sentences, answerable: right >= 0 && one.answers.length > 0, weight };
}

/** Each question with its own paragraph; beside others, ranked as a search would; and with wrong ones alone. */
function examplesOf(cases: readonly SquadCase[], all: readonly SquadCase[]): Example[] {
	return cases.flatMap((one) => {
		const near = () =>
			pick(cases.filter((other) => other.article === one.article && other.passage !== one.passage)).passage;
		const far = () => pick(all.filter((other) => other.article !== one.article)).passage;
		const at = [0, 0, 0, 0, 0, 0, 0, 0, 1, 2][Math.floor(random.next() * 10)] ?? 0;
		const several = [near(), near()];
		several.splice(at, 0, one.passage);
		return [
			example(one, [one.passage], 0, 1),
			example(one, several, at, 0.5),
			example(one, [near(), near()], -1, 0.1),
			example(one, [far(), far()], -1, 0.1),
		];
	});
}

function ascend(
	size: number,
	steps: number,
	rate: number,
	gradient: (weights: readonly number[]) => number[],
): number[] {
	let weights: number[] = new Array(size).fill(0);
	for (let step = 0; step < steps; step++) {
		const slope = gradient(weights);
		weights = weights.map((weight, i) => weight + rate * ((slope[i] ?? 0) - 0.0005 * weight));
	}
	return weights;
}

/** Softmax over a question's sentences; the probability of those that hold an answer is maximised. */
function fitSentences(examples: readonly Example[]): number[] {
	const usable = examples.filter(({ sentences }) => sentences.length > 1 && sentences.some(({ holds }) => holds));
	const mass = usable.reduce((sum, { weight }) => sum + weight, 0);
	return ascend(SENTENCE_FEATURES.length, 300, 3, (weights) => {
		const slope: number[] = new Array(weights.length).fill(0);
		for (const { sentences, weight } of usable) {
			const scores = sentences.map(({ features }) => dot(features, weights));
			const top = Math.max(...scores);
			const odds = scores.map((score) => Math.exp(score - top));
			const all = odds.reduce((sum, value) => sum + value, 0);
			const right = odds.reduce((sum, value, i) => sum + (sentences[i]?.holds ? value : 0), 0);
			for (const [i, { features, holds }] of sentences.entries()) {
				const pull = weight * ((holds ? (odds[i] ?? 0) / right : 0) - (odds[i] ?? 0) / all);
				for (const [k, feature] of features.entries()) slope[k] = (slope[k] ?? 0) + (pull * feature) / mass;
			}
		}
		return slope;
	});
}

/** Logistic regression on standardised features; returned for the raw ones, bias first. */
function fitAnswers(examples: readonly Example[], sentenceWeights: readonly number[]): number[] {
	const rows = examples.flatMap(({ reading, answerable, weight }) => {
		const [best, second] = rank(reading, sentenceWeights);
		if (!best) return [];
		const features = answerFeatures(reading, best.index, best.score, second?.score ?? 0);
		return [{ features, target: answerable ? 1 : 0, weight }];
	});
	const mass = rows.reduce((sum, { weight }) => sum + weight, 0);
	const mean = ANSWER_FEATURES.map(
		(_, k) => rows.reduce((sum, row) => sum + row.weight * (row.features[k] ?? 0), 0) / mass,
	);
	const spread = ANSWER_FEATURES.map(
		(_, k) =>
			Math.sqrt(
				rows.reduce((sum, row) => sum + row.weight * ((row.features[k] ?? 0) - (mean[k] ?? 0)) ** 2, 0) / mass,
			) || 1,
	);
	const standard = rows.map((row) => [
		1,
		...row.features.map((value, k) => (value - (mean[k] ?? 0)) / (spread[k] ?? 1)),
	]);
	const fitted = ascend(ANSWER_FEATURES.length + 1, 800, 0.5, (weights) => {
		const slope: number[] = new Array(weights.length).fill(0);
		for (const [i, row] of rows.entries()) {
			const features = standard[i] ?? [];
			const pull = (row.weight * (row.target - 1 / (1 + Math.exp(-dot(features, weights))))) / mass;
			for (const [k, feature] of features.entries()) slope[k] = (slope[k] ?? 0) + pull * feature;
		}
		return slope;
	});
	const raw = ANSWER_FEATURES.map((_, k) => (fitted[k + 1] ?? 0) / (spread[k] ?? 1));
	return [(fitted[0] ?? 0) - dot(raw, mean), ...raw];
}

const all = loadSquad();
if (all === null) throw new Error('needs ../shared/data/squad2-dev');
const half = process.argv[2] === 'odd' ? 1 : 0;
const examples = examplesOf(
	all.filter(({ article }) => article % 2 === half),
	all.filter(({ article }) => article % 2 === half),
);
const sentenceWeights = fitSentences(examples);
const [bias = 0, ...answerWeights] = fitAnswers(examples, sentenceWeights);
const table = (names: readonly string[], values: readonly number[]) =>
	Object.fromEntries(names.map((name, i) => [name, Number((values[i] ?? 0).toFixed(3))]));
console.log('SENTENCE_WEIGHTS', table(SENTENCE_FEATURES, sentenceWeights));
console.log('ANSWER_BIAS', Number(bias.toFixed(3)));
console.log('ANSWER_WEIGHTS', table(ANSWER_FEATURES, answerWeights));
