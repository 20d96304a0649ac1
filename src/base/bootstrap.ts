import type { Random } from './random.ts';

/** A mean with the interval that holds it with the given confidence. */
export interface Estimate {
	readonly mean: number;
	readonly low: number;
	readonly high: number;
}

const RESAMPLES = 2_000;
const CONFIDENCE = 0.95;

/**
 * The mean of a sample with its percentile bootstrap interval of 95 % (Efron and Tibshirani, "An introduction to the bootstrap",
 * 1993). For two systems on the same queries, give it the differences: that interval is the paired one.
 */
export function bootstrapMean(sample: readonly number[], random: Random): Estimate {
	if (sample.length === 0) return { mean: Number.NaN, low: Number.NaN, high: Number.NaN };
	const means = Array.from({ length: RESAMPLES }, () => {
		let sum = 0;
		for (let at = 0; at < sample.length; at++) sum += sample[Math.floor(random.next() * sample.length)] as number;
		return sum / sample.length;
	}).sort((a, b) => a - b);
	const tail = Math.floor((RESAMPLES * (1 - CONFIDENCE)) / 2);
	const mean = sample.reduce((sum, one) => sum + one, 0) / sample.length;
	return { mean, low: means[tail] as number, high: means[RESAMPLES - 1 - tail] as number };
}
