/** What a comparison of two histograms found. */
export interface Comparison {
	/** Total variation distance of the shares, in [0, 1]: the share that would have to change sides. */
	readonly distance: number;
	/** How likely so large a difference is where nothing shifted; 1 where there is too little to tell. */
	readonly p: number;
}

/** A bin counts by itself when so many are expected in it on both sides; smaller ones are put together. */
const EXPECTED_MIN = 5;

/**
 * Pearson's chi-square test of homogeneity for two histograms over the same bins, in order.
 * @param sizes how many independent observations each side has, where its counts are of something clustered.
 */
export function compareHistograms(
	before: readonly number[],
	now: readonly number[],
	sizes: readonly [number, number] = [sum(before), sum(now)],
): Comparison {
	const shares = [before, now].map((counts) => {
		const total = sum(counts);
		return counts.map((count) => (total === 0 ? 0 : count / total));
	});
	const [a = [], b = []] = shares;
	const distance = a.reduce((all, share, bin) => all + Math.abs(share - (b[bin] ?? 0)), 0) / 2;
	const [sizeA, sizeB] = sizes;
	if (sizeA <= 0 || sizeB <= 0) return { distance, p: 1 };
	const bins = mergeSmall(
		a.map((share, bin) => [share * sizeA, (b[bin] ?? 0) * sizeB] as const),
		sizes,
	);
	if (bins.length < 2) return { distance, p: 1 };
	let chiSquare = 0;
	for (const [one, other] of bins) {
		const pooled = (one + other) / (sizeA + sizeB);
		chiSquare += (one - pooled * sizeA) ** 2 / (pooled * sizeA) + (other - pooled * sizeB) ** 2 / (pooled * sizeB);
	}
	return { distance, p: chiSquareTail(chiSquare, bins.length - 1) };
}

/** Neighbours are put together until enough is expected in each bin; what is left joins the last one. */
function mergeSmall(
	bins: readonly (readonly [number, number])[],
	[sizeA, sizeB]: readonly [number, number],
): (readonly [number, number])[] {
	const least = Math.min(sizeA, sizeB) / (sizeA + sizeB);
	const merged: (readonly [number, number])[] = [];
	let open: readonly [number, number] = [0, 0];
	for (const [one, other] of bins) {
		open = [open[0] + one, open[1] + other];
		if ((open[0] + open[1]) * least < EXPECTED_MIN) continue;
		merged.push(open);
		open = [0, 0];
	}
	const last = merged.pop();
	return last ? [...merged, [last[0] + open[0], last[1] + open[1]]] : [];
}

function sum(counts: readonly number[]): number {
	return counts.reduce((all, count) => all + count, 0);
}

/** P(X ≥ x) for a chi-square distribution: the regularised upper incomplete gamma function (Numerical Recipes, 6.2). */
function chiSquareTail(x: number, degrees: number): number {
	return x <= 0 ? 1 : upperGamma(degrees / 2, x / 2);
}

function upperGamma(a: number, x: number): number {
	const scale = Math.exp(-x + a * Math.log(x) - logGamma(a));
	if (x < a + 1) {
		let term = 1 / a;
		let series = term;
		for (let n = 1; n < 1_000 && term > series * 1e-15; n++) {
			term *= x / (a + n);
			series += term;
		}
		return Math.max(0, 1 - scale * series);
	}
	let b = x + 1 - a;
	let c = 1 / 1e-300;
	let d = 1 / b;
	let fraction = d;
	for (let n = 1; n < 1_000; n++) {
		const factor = -n * (n - a);
		b += 2;
		d = 1 / (factor * d + b);
		c = b + factor / c;
		fraction *= d * c;
		if (Math.abs(d * c - 1) < 1e-15) break;
	}
	return scale * fraction;
}

/** Lanczos' approximation. */
function logGamma(x: number): number {
	const coefficients = [
		76.18009172947146, -86.50532032941676, 24.01409824083091, -1.231739572450155, 0.1208650973866179e-2,
		-0.5395239384953e-5,
	];
	let series = 1.000000000190015;
	coefficients.forEach((coefficient, n) => {
		series += coefficient / (x + n + 1);
	});
	const shifted = x + 5.5;
	return (x + 0.5) * Math.log(shifted) - shifted + Math.log((Math.sqrt(2 * Math.PI) * series) / x);
}
