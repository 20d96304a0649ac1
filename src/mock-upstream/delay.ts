import type { RawDelay } from './script-schema.ts';

/** What decides a delay: three draws in [0, 1), and how long ago the start was. */
export interface DelayInput {
	readonly draws: readonly [number, number, number];
	readonly elapsedMs: number;
}

/** The ways to say a delay, each with the keys that it needs. */
const WAYS = [['ms'], ['min_ms', 'max_ms'], ['p50_ms', 'p99_ms'], ['from_ms', 'to_ms', 'over_s']] as const;

/** What is wrong with a delay that its schema cannot say; null: nothing. */
export function delayProblem(raw: Readonly<Record<string, unknown>>): string | null {
	const { max_ms: most, ...rest } = raw;
	const leading = WAYS.filter(([key]) => raw[key] !== undefined);
	const [way, ...others] = leading;
	if (way === undefined) {
		const keys = WAYS.flatMap((keys) => [...keys]).filter((key) => raw[key] !== undefined);
		if (keys.length === 0 && rest.spike_share !== undefined) return null;
		return 'says no delay: write ms; min_ms and max_ms; p50_ms and p99_ms; or from_ms, to_ms and over_s';
	}
	if (others.length > 0) return `says a delay twice: keep one of ${leading.map(([key]) => key).join(' and ')}`;
	const missing = way.filter((key) => raw[key] === undefined);
	if (missing.length > 0) return `${way[0]} needs ${missing.join(' and ')} too`;
	const allowed = new Set<string>([...way, ...(way[0] === 'p50_ms' ? ['max_ms'] : [])]);
	const stray = WAYS.flatMap((keys) => [...keys]).find((key) => raw[key] !== undefined && !allowed.has(key));
	if (stray !== undefined) return `${stray} has no meaning beside ${way[0]}`;
	if (way[0] === 'min_ms' && Number(raw.min_ms) > Number(most)) return 'min_ms is above max_ms';
	if (way[0] === 'p50_ms' && Number(raw.p50_ms) > Number(raw.p99_ms)) return 'p50_ms is above p99_ms';
	return way[0] === 'p50_ms' && Number(raw.p50_ms) === 0 ? 'a log-normal delay needs a p50_ms above 0' : null;
}

/** Standard deviations from the median to the 99th percentile of a normal distribution. */
const Z99 = 2.326_347_874;
const LOG_NORMAL_MAX_MS = 600_000;

/** Milliseconds, whole. */
export function delayMs(delay: RawDelay | null, { draws, elapsedMs }: DelayInput): number {
	if (delay === null) return 0;
	const [first, second, third] = draws;
	const spike = third < delay.spike_share ? delay.spike_ms : 0;
	return Math.round(spike + baseMs(delay, { first, second, elapsedMs }));
}

function baseMs(delay: RawDelay, at: { first: number; second: number; elapsedMs: number }): number {
	const { ms, min_ms, max_ms, p50_ms, p99_ms, from_ms, to_ms, over_s } = delay;
	if (ms !== undefined) return ms;
	if (min_ms !== undefined) return min_ms + at.first * ((max_ms ?? min_ms) - min_ms);
	if (p50_ms !== undefined) {
		const sigma = Math.log((p99_ms ?? p50_ms) / p50_ms) / Z99;
		return Math.min(p50_ms * Math.exp(sigma * normal(at.first, at.second)), max_ms ?? LOG_NORMAL_MAX_MS);
	}
	if (from_ms === undefined || to_ms === undefined) return 0;
	return from_ms + (to_ms - from_ms) * Math.min(1, at.elapsedMs / ((over_s ?? 1) * 1_000));
}

/** Box and Muller (1958): two even draws make a normal one. */
function normal(first: number, second: number): number {
	return Math.sqrt(-2 * Math.log(1 - first)) * Math.cos(2 * Math.PI * second);
}
