import { nextTurn } from '../base/clock.ts';
import { nearest } from '../base/nearest.ts';
import type { FlagDefinition } from '../contracts/flag.ts';
import type { FlagClient } from '../flags/flag-client.ts';
import type { FlagExplanation, FlagQuestion, FlagView, Operator } from '../gateway/operator.ts';
import type { FlagUse } from '../policy/flags.ts';
import type { Snapshot } from '../runtime/feature.ts';
import { PlimsollError } from '../spec/errors.ts';
import type { FlagSubject } from '../spec/flags.ts';
import type { KeyAdmin } from './keys.ts';
import type { LoadedProject } from './load-project.ts';
import type { UserHash } from './user-hash.ts';

/** A provider elsewhere gets more time from an operator than from a request. */
const EXPLAIN_MS = 5_000;
/** Draws between two turns of the event loop: a millisecond or two. */
const DRAWS_PER_TURN = 200;

interface FlagParts {
	readonly flags: FlagClient;
	readonly keys: KeyAdmin;
	readonly users: UserHash;
	readonly project: () => LoadedProject;
	/** Those that serve now. */
	readonly features: () => Snapshot['features'];
}

interface UsedFlag {
	readonly feature: string;
	readonly use: FlagUse;
}

/** The operator's part about flags. */
export function flagOperator({ flags, keys, users, project, features }: FlagParts) {
	const used = (): readonly UsedFlag[] =>
		[...features()].flatMap(([feature, one]) => (one.flags?.uses ?? []).map((use) => ({ feature, use })));
	const subjectOf = async (ask: FlagQuestion): Promise<FlagSubject> => {
		const key = ask.keyId === null ? undefined : (await keys.list()).find(({ id }) => id === ask.keyId);
		return {
			tenantId: ask.tenantId,
			user: ask.user,
			userHash: ask.user === null ? null : users.of(ask.tenantId, ask.user),
			feature: ask.feature ?? '',
			keyId: ask.keyId,
			keyName: key?.name ?? null,
			caller: ask.caller,
		};
	};
	return {
		flags: () => viewsOf(project(), used()),
		explainFlag: async (name, ask) => {
			const { flags: definitions } = project();
			const subject = await subjectOf(ask);
			const definition = definitions.get(name);
			if (definition) return explainFile(flags, definition, { subject, sample: ask.sample });
			const found = used().find(({ use }) => use.flag === name);
			if (!found) throw unknownFlag(name, [...definitions.keys(), ...used().map(({ use }) => use.flag)]);
			if (ask.sample !== null) {
				throw new PlimsollError('request_invalid', 'Only flags of flags.yaml can be drawn for a sample.', {
					param: 'sample',
				});
			}
			const [result] = await flags.evaluate([found.use], subject, EXPLAIN_MS);
			if (result === undefined) throw new Error('a flag was asked for and nothing came back');
			return { ...result, decidedBy: null, sample: null };
		},
	} satisfies Partial<Operator>;
}

function viewsOf({ config, flags }: LoadedProject, used: readonly UsedFlag[]): readonly FlagView[] {
	const provider = config.flags.provider?.module ?? 'flags.yaml';
	const names = [...new Set([...flags.keys(), ...used.map(({ use }) => use.flag)])].sort();
	return names.map((name) => {
		const flag = flags.get(name);
		return {
			name,
			description: flag?.description ?? null,
			provider,
			state: flag ? (flag.enabled ? 'enabled' : 'disabled') : null,
			variants: flag?.variants ?? null,
			defaultVariant: flag?.defaultVariant ?? null,
			rules: flag?.rules.length ?? null,
			usedBy: used.filter(({ use }) => use.flag === name).map(({ feature, use }) => `${feature}: ${purposeOf(use)}`),
		};
	});
}

function purposeOf({ purpose }: FlagUse): string {
	return typeof purpose === 'object' ? `variable ${purpose.variable}` : purpose;
}

async function explainFile(
	flags: FlagClient,
	definition: FlagDefinition,
	{ subject, sample }: { subject: FlagSubject; sample: number | null },
): Promise<FlagExplanation> {
	const outcome = flags.explain(definition, subject);
	const counts: Record<string, number> = Object.fromEntries(Object.keys(definition.variants).map((name) => [name, 0]));
	for (let n = 1; n <= (sample ?? 0); n++) {
		const { variant } = flags.explain(definition, { ...subject, user: `sample-${n}`, userHash: null });
		counts[variant] = (counts[variant] ?? 0) + 1;
		if (n % DRAWS_PER_TURN === 0) await nextTurn();
	}
	const { value, variant, reason } = outcome;
	return {
		flag: definition.name,
		value,
		variant,
		reason,
		decidedBy: decidedBy(definition, outcome),
		error: null,
		sample: sample === null ? null : counts,
	};
}

function decidedBy({ defaultVariant }: FlagDefinition, { reason, rule }: ReturnType<FlagClient['explain']>): string {
	if (reason === 'DISABLED') return `the flag is disabled: its default variant ${defaultVariant} serves`;
	if (rule === null) return `no rule fits: the default variant ${defaultVariant} serves`;
	if ('variant' in rule.outcome) return `the rule "${rule.name}"`;
	const { by, percent } = rule.outcome.split;
	const shares = Object.entries(percent).map(([variant, share]) => `${variant} ${share} %`);
	return `the rule "${rule.name}": drawn by ${by} from ${shares.join(', ')}`;
}

function unknownFlag(name: string, known: readonly string[]): PlimsollError {
	const close = nearest(name, known);
	const hint = close ? ` Did you mean "${close}"?` : '';
	return new PlimsollError('flag_not_found', `No flag is named "${name.slice(0, 100)}".${hint}`);
}
