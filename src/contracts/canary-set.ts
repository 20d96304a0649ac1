import type { Canary } from './canary.ts';
import type { RawChecks } from './checks-schema.ts';

/** `checks` of a collection. */
export interface CheckConfig {
	readonly required: boolean;
	readonly everyMs: number;
	readonly k: number;
	/** In [0, 1]. */
	readonly recallMin: number;
	readonly sample: number;
	readonly alpha: number;
}

/** Canaries that are held to one floor. */
export interface CanaryGroup {
	/** Null: the collection's own. */
	readonly feature: string | null;
	readonly k: number;
	readonly recallMin: number;
	/** Never empty. */
	readonly canaries: readonly Canary[];
}

/** What one collection is held to. */
export interface CanarySet {
	readonly collection: string;
	readonly checks: CheckConfig;
	/** Empty: nobody has written canaries for it. */
	readonly groups: readonly CanaryGroup[];
}

export function checksOf(raw: RawChecks): CheckConfig {
	return {
		required: raw.required,
		everyMs: raw.every_minutes * 60_000,
		k: raw.k,
		recallMin: raw.recall_min,
		sample: raw.sample,
		alpha: raw.alpha,
	};
}
