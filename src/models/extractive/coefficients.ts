import type { ANSWER_FEATURES, SENTENCE_FEATURES } from './features.ts';

/**
 * Fitted by `node bench/extractive-fit.ts` on the articles with an even index of SQuAD 2.0's development set (CS224n
 * split, 8 of 16 articles, 2,828 questions; CC BY-SA 4.0); `node bench/extractive.ts` reports on the other half.
 * A softmax over the sentences of a passage, then a logistic regression on the best one.
 */
export const SENTENCE_WEIGHTS: Readonly<Record<(typeof SENTENCE_FEATURES)[number], number>> = {
	coverage: 7.822,
	coverage_squared: -0.206,
	coverage_of_names: -0.943,
	pairs: 0.139,
	near_pairs: 0.719,
	coverage_by_previous: 3.44,
	coverage_by_next: 1.209,
	coverage_by_heading: 1.232,
	expected_kind_present: 1.566,
	expected_kind_near: 3.756,
	gives_reason: 1.523,
	new_words: -0.509,
	log_length: 1.022,
	first: 0.143,
	is_question: 0,
	rank: 2.552,
};

export const ANSWER_BIAS = -1.637;

export const ANSWER_WEIGHTS: Readonly<Record<(typeof ANSWER_FEATURES)[number], number>> = {
	score: 0.102,
	margin: -0.126,
	coverage_best: 2.35,
	coverage_squared: -0.855,
	coverage_around: 1.692,
	coverage_by_heading: 3.104,
	coverage_passage: -1.997,
	names_missing_in_best: -0.072,
	names_missing_in_passage: -0.538,
	numbers_missing_in_passage: -1.047,
	pairs_best: -0.545,
	expected_kind_present: 0.422,
	expected_kind_near: 0.334,
	negation_missing: -3.098,
	negation_added: 0.046,
	opposite: -2.631,
};
