import type { ANSWER_FEATURES, SENTENCE_FEATURES } from './features.ts';

/**
 * Fitted by `node bench/extractive-fit.ts` on the articles with an even index of SQuAD 2.0's development set (CS224n
 * split, 8 of 16 articles, 2,828 questions; CC BY-SA 4.0); `node bench/extractive.ts` reports on the other half.
 * A softmax over the sentences of a passage, then a logistic regression on the best one.
 */
export const SENTENCE_WEIGHTS: Readonly<Record<(typeof SENTENCE_FEATURES)[number], number>> = {
	coverage: 7.936,
	coverage_squared: -0.129,
	coverage_of_names: -0.906,
	pairs: 0.15,
	near_pairs: 0.727,
	coverage_by_previous: 3.641,
	coverage_by_next: 1.259,
	coverage_by_heading: 1.238,
	expected_kind_present: 1.547,
	expected_kind_near: 3.774,
	gives_reason: 1.515,
	new_words: -0.514,
	log_length: 1.021,
	first: 0.213,
	is_question: 0,
	rank: 2.555,
};

export const ANSWER_BIAS = -1.645;

export const ANSWER_WEIGHTS: Readonly<Record<(typeof ANSWER_FEATURES)[number], number>> = {
	score: 0.099,
	margin: -0.142,
	coverage_best: 2.458,
	coverage_squared: -0.957,
	coverage_around: 1.918,
	coverage_by_heading: 3.132,
	coverage_passage: -2.198,
	names_missing_in_best: -0.107,
	names_missing_in_passage: -0.475,
	numbers_missing_in_passage: -1.049,
	pairs_best: -0.528,
	expected_kind_present: 0.424,
	expected_kind_near: 0.365,
	negation_missing: -3.101,
	negation_added: 0.047,
	opposite: -2.614,
};
