import { closest, distance } from 'fastest-levenshtein';

/** The known name closest to `name`, or null when none is close enough to be a likely slip of the pen. */
export function nearest(name: string, known: readonly string[]): string | null {
	if (known.length === 0) return null;
	const best = closest(name.toLowerCase(), known);
	return distance(name.toLowerCase(), best.toLowerCase()) <= Math.max(2, Math.floor(name.length / 3)) ? best : null;
}
