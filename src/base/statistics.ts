import type { Random } from './random.ts';

/** An interval that holds the true value with the stated confidence. */
export interface Interval {
	readonly low: number;
	readonly high: number;
}

/** Quantile of the standard normal for a two-sided interval of 95 %. */
const Z_95 = 1.959963984540054;

/**
 * Wilson's score interval of a share at 95 % (E. B. Wilson, "Probable inference", 1927): it stays inside [0, 1] and keeps
 * its promise for few trials and for shares near 0 and 1. Of no trials nothing is known: [0, 1].
 */
export function wilson(successes: number, trials: number): Interval {
	if (trials === 0) return { low: 0, high: 1 };
	const share = successes / trials;
	const z2 = Z_95 ** 2;
	const centre = (share + z2 / (2 * trials)) / (1 + z2 / trials);
	const half = (Z_95 / (1 + z2 / trials)) * Math.sqrt((share * (1 - share)) / trials + z2 / (4 * trials ** 2));
	// At the ends rounding would leave 0 and 1 by a hair.
	return {
		low: successes === 0 ? 0 : Math.max(0, centre - half),
		high: successes === trials ? 1 : Math.min(1, centre + half),
	};
}

/** The percentile bootstrap's interval of a mean at 95 % (B. Efron, 1979); the same seed gives the same interval. */
export function bootstrapMean(values: readonly number[], random: Random, resamples = 1_000): Interval {
	if (values.length === 0) return { low: 0, high: 1 };
	const means = new Float64Array(resamples);
	for (let n = 0; n < resamples; n++) {
		let sum = 0;
		for (let drawn = 0; drawn < values.length; drawn++) sum += values[Math.floor(random.next() * values.length)] ?? 0;
		means[n] = sum / values.length;
	}
	means.sort();
	const at = (share: number) => means[Math.min(resamples - 1, Math.floor(share * resamples))] ?? 0;
	return { low: at(0.025), high: at(0.975) };
}

/**
 * The exact, one-sided form of McNemar's test (Q. McNemar, 1947): how likely so many pairs got worse, among those that
 * changed, when getting worse and getting better are equally likely. 1 when nothing changed.
 */
export function mcnemarWorse(worse: number, better: number): number {
	const changed = worse + better;
	// In logarithms: 2^-changed is zero for a computer from a thousand pairs on.
	let logTerm = -changed * Math.LN2;
	let sum = 0;
	for (let k = 0; k <= better; k++) {
		sum += Math.exp(logTerm);
		logTerm += Math.log((changed - k) / (k + 1));
	}
	return Math.min(1, sum);
}

/** Draws as large as what was seen, after which more would not make the value small. */
const ENOUGH = 50;

/** From so many differences on, sums of random signs are as good as normal, and drawing them would only cost time. */
const DRAWN_MAX = 400;

/**
 * The paired permutation test of R. A. Fisher (1935), one-sided, by random sign flips: how likely the sum of differences is
 * at least what it is when each could as well have had the other sign. The same seed gives the same value. Drawn values
 * are never zero: the observation counts as one draw. Drawing ends early where the value is plainly not small (J. Besag and
 * P. Clifford, "Sequential Monte Carlo p-values", 1991).
 */
export function signFlipTest(differences: readonly number[], random: Random, draws = 9_999): number {
	const changed = differences.filter((difference) => difference !== 0);
	const observed = changed.reduce((sum, difference) => sum + difference, 0);
	if (changed.length === 0 || observed <= 0) return 1;
	if (changed.length > DRAWN_MAX)
		return normalTail(observed / Math.sqrt(changed.reduce((sum, one) => sum + one ** 2, 0)));
	let asLarge = 1;
	for (let n = 0; n < draws; n++) {
		let sum = 0;
		for (const difference of changed) sum += random.next() < 0.5 ? difference : -difference;
		// Sums of the same numbers in another order differ by rounding.
		if (sum >= observed - 1e-9) asLarge++;
		if (asLarge > ENOUGH) return (asLarge - 1) / (n + 1);
	}
	return asLarge / (draws + 1);
}

/** How likely a standard normal is at least `z`, for z ≥ 0: Abramowitz and Stegun, 26.2.17, off by at most 7.5e-8. */
function normalTail(z: number): number {
	const t = 1 / (1 + 0.231_641_9 * z);
	const poly =
		t * (0.319_381_53 + t * (-0.356_563_782 + t * (1.781_477_937 + t * (-1.821_255_978 + t * 1.330_274_429))));
	return (Math.exp(-(z ** 2) / 2) / Math.sqrt(2 * Math.PI)) * poly;
}
