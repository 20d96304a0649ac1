/** Semantic versioning 2.0.0 (semver.org), without build metadata: two builds of one prompt would be two prompts. */
const SEMVER = /^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(?:-((?:[0-9A-Za-z-]+)(?:\.[0-9A-Za-z-]+)*))?$/;

export function isVersion(text: string): boolean {
	return SEMVER.test(text);
}

/** Negative when `a` comes before `b`. Both must be versions. */
export function compareVersions(a: string, b: string): number {
	const left = SEMVER.exec(a) ?? [];
	const right = SEMVER.exec(b) ?? [];
	for (let part = 1; part <= 3; part++) {
		const difference = compareIdentifiers(left[part] ?? '', right[part] ?? '');
		if (difference !== 0) return difference;
	}
	return comparePrereleases(left[4], right[4]);
}

function comparePrereleases(a: string | undefined, b: string | undefined): number {
	if (a === undefined || b === undefined) return Number(a === undefined) - Number(b === undefined);
	const left = a.split('.');
	const right = b.split('.');
	for (let i = 0; i < Math.min(left.length, right.length); i++) {
		const difference = compareIdentifiers(left[i] ?? '', right[i] ?? '');
		if (difference !== 0) return difference;
	}
	return left.length - right.length;
}

/** Numbers by value and before words; words by code point. */
function compareIdentifiers(a: string, b: string): number {
	const numeric = /^\d+$/;
	if (numeric.test(a) && numeric.test(b)) return a.length - b.length || (a < b ? -1 : Number(a > b));
	if (numeric.test(a) !== numeric.test(b)) return numeric.test(a) ? -1 : 1;
	return a < b ? -1 : Number(a > b);
}
