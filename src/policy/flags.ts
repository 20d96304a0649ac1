import { canonicalJson } from '../base/canonical-json.ts';
import { sha256 } from '../base/hash.ts';
import { FLAG_ERROR, type FlagAsk, type FlagResult, type FlagValue } from '../spec/flags.ts';

/** One thing that a flag decides for a feature. */
export interface FlagUse {
	readonly flag: string;
	readonly purpose: 'enabled' | 'route' | 'prompt_version' | { readonly variable: string };
	/** What holds when the flag says nothing that can be used; of the flag's type. */
	readonly fallback: FlagValue;
	/** Whether the feature can follow a value: it has such a route, such a version, such a kind of variable. */
	readonly accepts: (value: FlagValue) => boolean;
}

/** What a request's flags decided. Frozen. */
export interface FlagDecision {
	readonly enabled: boolean;
	/** Null: no flag chooses one. */
	readonly route: string | null;
	readonly promptVersion: string | null;
	readonly variables: Readonly<Record<string, FlagValue>>;
	/** By flag the variant that was given, or the value where the provider names no variant; null: none could be used. */
	readonly variants: Readonly<Record<string, string | null>>;
	/** By flag why. */
	readonly reasons: Readonly<Record<string, string>>;
	/** By flag what went wrong. */
	readonly errors: Readonly<Record<string, string>>;
	/** SHA-256 over everything that flags decided: equal only for requests that flags treat alike. */
	readonly digest: string;
}

/** Each flag once, however many things it decides. */
export function flagAsks(uses: readonly FlagUse[]): readonly FlagAsk[] {
	const asks = new Map<string, FlagAsk>();
	for (const { flag, fallback } of uses) if (!asks.has(flag)) asks.set(flag, { flag, fallback });
	return [...asks.values()];
}

/** What results mean for a feature: a value that it cannot follow counts as an error, and its own choice holds. */
export function decideFlags(uses: readonly FlagUse[], results: readonly FlagResult[]): FlagDecision {
	const byFlag = new Map(results.map((result) => [result.flag, result]));
	const variants: Record<string, string | null> = {};
	const reasons: Record<string, string> = {};
	const errors: Record<string, string> = {};
	const variables: Record<string, FlagValue> = {};
	const chosen: Partial<Record<'enabled' | 'route' | 'prompt_version', FlagValue>> = {};
	for (const use of uses) {
		const { flag, purpose } = use;
		const result = byFlag.get(flag);
		const error = errorOf(use, result);
		if (error !== null) {
			variants[flag] = null;
			reasons[flag] = FLAG_ERROR;
			errors[flag] = error;
		} else if (result && errors[flag] === undefined) {
			// Another use of the same flag may have failed: that must stay to be seen.
			variants[flag] = result.variant ?? String(result.value);
			reasons[flag] = result.reason;
		}
		const value = error === null && result ? result.value : use.fallback;
		if (typeof purpose !== 'object') chosen[purpose] = value;
		else if (error === null) variables[purpose.variable] = value;
	}
	const decided = {
		enabled: chosen.enabled !== false,
		route: textOrNull(chosen.route),
		promptVersion: textOrNull(chosen.prompt_version),
		variables: Object.freeze(variables),
	};
	return Object.freeze({
		...decided,
		variants: Object.freeze(variants),
		reasons: Object.freeze(reasons),
		errors: Object.freeze(errors),
		digest: sha256(canonicalJson(decided)),
	});
}

function errorOf({ fallback, accepts }: FlagUse, result: FlagResult | undefined): string | null {
	if (result === undefined) return 'not evaluated';
	if (result.reason === FLAG_ERROR) return result.error ?? 'unknown error';
	if (typeof result.value !== typeof fallback) return `is a ${typeof result.value}, not a ${typeof fallback}`;
	return accepts(result.value) ? null : `the feature has nothing for ${JSON.stringify(result.value)}`.slice(0, 200);
}

function textOrNull(value: FlagValue | undefined): string | null {
	return value === undefined ? null : String(value);
}
