import { z } from 'zod';
import { checkBody } from './json-body.ts';
import type { FlagExplanation, FlagQuestion, FlagView } from './operator.ts';
import { pathParameter, type Route } from './route.ts';

/** Users that one call may draw: some ten milliseconds of work. */
const SAMPLE_MAX = 10_000;

/** `POST /admin/flags/{flag}/explain`. */
export const FlagBody = z.strictObject({
	tenant: z.string().min(1).max(100).default('default'),
	user: z.string().min(1).max(1_000).nullish(),
	feature: z.string().min(1).max(100).nullish(),
	key: z.string().min(1).max(100).nullish(),
	caller: z.enum(['key', 'token', 'in_process']).default('key'),
	sample: z.int().min(1).max(SAMPLE_MAX).nullish(),
});

/** Rules name tenants, so that flags are for operators alone. */
export const FLAG_ROUTES: readonly Route[] = [
	{
		method: 'GET',
		path: '/admin/flags',
		scope: 'admin',
		traced: false,
		summary: 'The flags of flags.yaml, or those that contracts use of another provider, with who uses them.',
		body: null,
		handle: ({ parts }) => ({ flags: parts.operator.flags().map(flagRow) }),
	},
	{
		method: 'POST',
		path: '/admin/flags/{flag}/explain',
		scope: 'admin',
		traced: false,
		summary: 'What a flag says for somebody, which rule decides, and how made-up users would be spread.',
		body: FlagBody,
		handle: async ({ request, parts }) => {
			const ask = flagQuestion(checkBody(FlagBody, request.body ?? {}));
			return explanationRow(await parts.operator.explainFlag(pathParameter(request, 'flag'), ask));
		},
	},
];

/** What a checked body asks, in the operator's words. */
export function flagQuestion({ tenant, user, feature, key, caller, sample }: z.output<typeof FlagBody>): FlagQuestion {
	return {
		tenantId: tenant,
		user: user ?? null,
		feature: feature ?? null,
		keyId: key ?? null,
		caller,
		sample: sample ?? null,
	};
}

/** A flag as clients see it. */
export function flagRow({ name, description, provider, state, variants, defaultVariant, rules, usedBy }: FlagView) {
	return {
		flag: name,
		description,
		provider,
		state,
		variants,
		default_variant: defaultVariant,
		rules,
		used_by: usedBy,
	};
}

/** An explanation as clients see it. */
export function explanationRow({ flag, value, variant, reason, decidedBy, error, sample }: FlagExplanation) {
	return { flag, value, variant, reason, decided_by: decidedBy, error, sample };
}
