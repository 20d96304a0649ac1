/** How long a baseline remembers, in windows: about ten minutes of traffic. */
const LONG_WINDOWS = 600;
/** Baselines begin with so many samples: fewer say nothing. */
const FIRST_SAMPLES = 10;
/** Slower than the baseline by less than this is noise: what a model does with a prompt varies. */
const TOLERANCE = 2;
/** The most that one window can ask for, before smoothing. */
const GRADIENT_MIN = 0.5;
const SMOOTHING = 0.2;
/** A baseline that is far above what is measured now comes down by this much with each window. */
const RECOVERY = 0.9;
/** The tokens in whose time a model also does what it does once for each answer: makes long and short ones comparable. */
const ANSWER_OVERHEAD_TOKENS = 32;

export interface AdaptiveState {
	/** How many may run; a fraction, so that small steps add up. */
	readonly limit: number;
	/** What each signal is used to, milliseconds. */
	readonly baselines: ReadonlyMap<string, Baseline>;
}

interface Baseline {
	readonly ms: number;
	readonly samples: number;
	readonly windows: number;
}

/** What was measured since the last step. */
export interface AdaptiveWindow {
	/** The most requests that ran at once. */
	readonly running: number;
	readonly signals: ReadonlyMap<string, { readonly sumMs: number; readonly count: number }>;
}

/** A call to an upstream, as far as its speed is concerned. */
export interface CallSpeed {
	readonly upstream: string;
	readonly latencyMs: number;
	/** Null: the answer did not come in pieces. */
	readonly firstTokenMs: number | null;
	readonly tokensOut: number;
}

/**
 * What a call says about how busy its upstream is: the time to the first token of a stream, or the time for each token of
 * a whole answer. Neither grows because answers are long, and each is compared with its like alone.
 */
export function signalOf({ upstream, latencyMs, firstTokenMs, tokensOut }: CallSpeed): { name: string; ms: number } {
	if (firstTokenMs !== null) return { name: `${upstream} first token`, ms: firstTokenMs };
	return { name: `${upstream} whole`, ms: latencyMs / (tokensOut + ANSWER_OVERHEAD_TOKENS) };
}

/**
 * The limit after a window: Netflix's Gradient2 (concurrency-limits, Gradient2Limit.java), which compares latency with its
 * own long-term average, over several upstreams by the samples of each. While less than half of the limit is used nothing
 * can be learned about it: it does not fall, and returns to its most once latency is what it was.
 */
export function adapt(
	state: AdaptiveState,
	window: AdaptiveWindow,
	{ min, max }: { min: number; max: number },
): AdaptiveState {
	const baselines = new Map(state.baselines);
	let weighted = 0;
	let samples = 0;
	for (const [name, { sumMs, count }] of window.signals) {
		const now = sumMs / count;
		const known = state.baselines.get(name) ?? { ms: now, samples: 0, windows: 0 };
		const isKnown = known.samples >= FIRST_SAMPLES;
		const gradient = isKnown && now > 0 ? (TOLERANCE * known.ms) / now : 1;
		weighted += Math.max(GRADIENT_MIN, Math.min(1, gradient)) * count;
		samples += count;
		baselines.set(name, nextBaseline(known, now, count));
	}
	if (samples === 0) return state;
	const gradient = weighted / samples;
	const isIdle = window.running < state.limit / 2;
	if (isIdle && gradient < 1) return { limit: clamp(state.limit, min, max), baselines };
	const wanted = state.limit * gradient + Math.sqrt(state.limit);
	const limit = state.limit * (1 - SMOOTHING) + wanted * SMOOTHING;
	return { limit: clamp(limit, min, max), baselines };
}

function nextBaseline({ ms, samples, windows }: Baseline, now: number, count: number): Baseline {
	const moved = ms + (now - ms) / Math.min(windows + 1, LONG_WINDOWS);
	const isFarAbove = moved > TOLERANCE * now;
	return { ms: isFarAbove ? moved * RECOVERY : moved, samples: samples + count, windows: windows + 1 };
}

function clamp(limit: number, min: number, max: number): number {
	return Math.max(min, Math.min(max, limit));
}
