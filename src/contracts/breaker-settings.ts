/** When an upstream is left alone, and for how long. */
export interface BreakerSettings {
	/** Calls count for so long. */
	readonly windowMs: number;
	/** Fewer calls than this in the window say nothing about rates. */
	readonly callsMin: number;
	/** The share of the window's calls, in (0, 1], that must have failed. */
	readonly failureRate: number;
	/** So many failures in a row are enough, however few calls there are. */
	readonly failuresInARow: number;
	/** A call that takes longer is slow, milliseconds to the first token; null: none is. */
	readonly slowMs: number | null;
	/** The share of the window's calls, in (0, 1], that must have been slow. */
	readonly slowRate: number;
	/** From opening to the first probe, and from the beginning of one probe to the next. */
	readonly probeIntervalMs: number;
	/** The longest that a provider's `Retry-After` keeps everyone away. */
	readonly quotaMsMax: number;
}
