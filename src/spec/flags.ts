/** What a flag can say. */
export type FlagValue = boolean | string | number;
export type FlagType = 'boolean' | 'string' | 'number';

/** A flag to look at. Its type is that of the value which holds when the flag cannot be evaluated. */
export interface FlagAsk {
	readonly flag: string;
	readonly fallback: FlagValue;
}

/** Whom a flag is looked at for: what Plimsoll knows itself, and nothing that a body claims but the user. */
export interface FlagSubject {
	readonly tenantId: string;
	/** As the client names them; leaves Plimsoll only as a keyed hash. Null: nobody is named. */
	readonly user: string | null;
	readonly userHash: string | null;
	readonly feature: string;
	readonly keyId: string | null;
	readonly keyName: string | null;
	readonly caller: 'key' | 'token' | 'in_process';
}

export interface FlagResult {
	readonly flag: string;
	readonly value: FlagValue;
	/** Null when the provider names none. */
	readonly variant: string | null;
	/** OpenFeature's: `TARGETING_MATCH`, `SPLIT`, `DEFAULT`, `DISABLED`, `STATIC`, `ERROR` and whatever a provider adds. */
	readonly reason: string;
	/** Why the fallback holds; null unless the reason is `ERROR`. */
	readonly error: string | null;
}

export const FLAG_ERROR = 'ERROR';

/** Where flags are evaluated. Never rejects, and never takes longer than it is given. */
export interface FlagSource {
	/** Each flag exactly once; results in the order of `asks`. */
	evaluate(asks: readonly FlagAsk[], subject: FlagSubject, msMax: number): Promise<readonly FlagResult[]>;
}
