import type { FlagConditions, FlagDefinition, FlagRule } from '../contracts/flag.ts';
import type { FlagValue } from '../spec/flags.ts';
import { drawVariant } from './split.ts';

/** What rules look at. */
export interface FlagAttributes {
	/** The keyed hash of the user in the tenant, or of the tenant where no user is named. */
	readonly userUnit: string;
	readonly tenantUnit: string;
	/** By the name that conditions use; null or absent: unknown, which no condition fits. */
	readonly attributes: Readonly<Record<string, unknown>>;
}

export interface FlagOutcome {
	readonly value: FlagValue;
	readonly variant: string;
	readonly reason: 'DISABLED' | 'DEFAULT' | 'TARGETING_MATCH' | 'SPLIT';
	/** The rule that decided; null: none did. */
	readonly rule: FlagRule | null;
}

/** What a flag says. Pure: the same for the same flag, attributes and secret. */
export function resolveFlag(flag: FlagDefinition, about: FlagAttributes, secret: string): FlagOutcome {
	if (!flag.enabled) return outcome(flag, flag.defaultVariant, 'DISABLED', null);
	for (const rule of flag.rules) {
		if (rule.when !== null && !holds(rule.when, about.attributes)) continue;
		if (rule.unless !== null && holds(rule.unless, about.attributes)) continue;
		const { outcome: given } = rule;
		if ('variant' in given) return outcome(flag, given.variant, 'TARGETING_MATCH', rule);
		const unit = given.split.by === 'user' ? about.userUnit : about.tenantUnit;
		const drawn = drawVariant(given.split.percent, unit, { secret, salt: flag.salt });
		if (drawn !== null) return outcome(flag, drawn, 'SPLIT', rule);
	}
	return outcome(flag, flag.defaultVariant, 'DEFAULT', null);
}

function outcome(
	{ variants }: FlagDefinition,
	variant: string,
	reason: FlagOutcome['reason'],
	rule: FlagRule | null,
): FlagOutcome {
	const value = variants[variant];
	if (value === undefined) throw new Error(`the flag passed its checks without the variant ${variant}`);
	return { value, variant, reason, rule };
}

function holds(conditions: FlagConditions, attributes: FlagAttributes['attributes']): boolean {
	return Object.entries(conditions).every(([name, values]) => {
		const value = attributes[name];
		return typeof value === 'string' && values.includes(value);
	});
}
