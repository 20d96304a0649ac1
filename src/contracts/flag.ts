import type { FlagType, FlagValue } from '../spec/flags.ts';

/** By attribute the values of which one must hold; every attribute that is named must. */
export type FlagConditions = Readonly<Record<string, readonly string[]>>;

/** Shares in percent by variant, which add up to 100. */
export interface FlagSplit {
	readonly by: 'user' | 'tenant';
	readonly percent: Readonly<Record<string, number>>;
}

export interface FlagRule {
	/** For people: as the file says, else `rule 1` and so on. */
	readonly name: string;
	/** Null: every request. */
	readonly when: FlagConditions | null;
	/** Null: none is exempt. */
	readonly unless: FlagConditions | null;
	readonly outcome: { readonly variant: string } | { readonly split: FlagSplit };
}

/** One flag of flags.yaml. Frozen all the way down. */
export interface FlagDefinition {
	readonly name: string;
	readonly description: string;
	/** False: the rules are not looked at and the default variant serves. */
	readonly enabled: boolean;
	readonly type: FlagType;
	readonly variants: Readonly<Record<string, FlagValue>>;
	readonly defaultVariant: string;
	/** Flags of one salt draw alike, so that two flags can move together. */
	readonly salt: string;
	/** The first one that fits decides. */
	readonly rules: readonly FlagRule[];
}

/** What a contract may ask of a flag. */
export interface FlagFacts {
	readonly type: FlagType;
	readonly values: readonly FlagValue[];
}

/** Whether any rule draws. */
export function hasSplit({ rules }: FlagDefinition): boolean {
	return rules.some(({ outcome }) => 'split' in outcome);
}

export function flagTypeOf(value: unknown): FlagType | null {
	const type = typeof value;
	return type === 'boolean' || type === 'string' || type === 'number' ? type : null;
}
