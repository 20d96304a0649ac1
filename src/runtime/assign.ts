import { nearest } from '../base/nearest.ts';
import { requireFeature } from '../policy/access.ts';
import { decideFlags, flagAsks } from '../policy/flags.ts';
import { PlimsollError } from '../spec/errors.ts';
import type { Model } from '../spec/model.ts';
import type { Feature, FeatureFlags, Snapshot } from './feature.ts';
import type { Places } from './places.ts';
import type { ChatRequest } from './request.ts';
import type { RequestContext, StepNotes } from './request-context.ts';
import { takePlace } from './take-place.ts';

/** What the name in `model` turned out to be. */
export type Target =
	| { readonly kind: 'feature'; readonly feature: Feature }
	| { readonly kind: 'upstream'; readonly model: Model }
	/** A flag switched the feature off, and its policy is a fixed answer. */
	| { readonly kind: 'switched_off'; readonly answer: string; readonly degraded: string };

/** assign: whether the caller may, which release answers, by when, what flags decide, and a place to run in, which it may have to wait for. */
export function assign(
	context: RequestContext,
	request: ChatRequest,
	{ snapshot, places }: { snapshot: Snapshot; places: Places },
): Promise<Target> {
	return context.step('assign', async (notes) => {
		requireFeature(context.caller, request.model);
		const target = findTarget(request.model, snapshot);
		const deadlineMs =
			target.kind === 'feature' ? target.feature.release.contract.budget.deadlineMs : snapshot.bare.deadlineMs;
		if (target.kind === 'feature') {
			const { release } = target.feature;
			context.trace.feature = release.contract.feature;
			context.trace.release = release.id;
			context.trace.variant = 'control';
			if (release.contract.priority === 'batch') context.lowerPriority();
		}
		notes.detail.deadline_ms = context.startDeadline(deadlineMs, request.sink !== null);
		if (context.isHurried) notes.detail.deadline_of = 'the client';
		const { feature, user_id_hash: userHash } = context.trace;
		await context.limits?.assigned({ feature, userHash }, notes);
		const decided =
			target.kind === 'feature' && target.feature.flags !== null
				? await applyFlags(context, { feature: target.feature, flags: target.feature.flags, user: request.user }, notes)
				: target;
		// What is switched off needs no place, least of all when the others are taken.
		if (decided.kind !== 'switched_off') await takePlace(context, places, notes);
		return decided;
	});
}

/** Looks at each flag of the feature, this once for the whole request, and follows what they say. */
async function applyFlags(
	context: RequestContext,
	{ feature, flags, user }: { feature: Feature; flags: FeatureFlags; user: string | null },
	{ detail }: StepNotes,
): Promise<Target> {
	const { caller, trace } = context;
	const subject = {
		tenantId: caller.tenantId,
		user: caller.user ?? user,
		userHash: trace.user_id_hash,
		feature: feature.release.contract.feature,
		keyId: caller.keyId,
		keyName: caller.keyName,
		caller: caller.kind,
	};
	const results = await flags.source.evaluate(flagAsks(flags.uses), subject, context.deadline.remainingMs());
	const decision = decideFlags(flags.uses, results);
	context.flags = decision;
	trace.flags = decision.variants;
	trace.flag_reasons = decision.reasons;
	detail.flags_digest = decision.digest.slice(0, 16);
	for (const [flag, error] of Object.entries(decision.errors)) detail[`flag_error.${flag}`] = error;
	if (!decision.enabled) {
		const policy = feature.release.contract.onFailure.feature_disabled;
		if (policy.action !== 'fall_back') {
			throw new PlimsollError('feature_disabled', `The feature ${trace.feature} is switched off.`);
		}
		return { kind: 'switched_off', answer: policy.answer, degraded: 'feature_disabled: fall_back' };
	}
	const route = decision.route === null ? undefined : flags.routes.get(decision.route);
	const prompt = decision.promptVersion === null ? undefined : flags.prompts.get(decision.promptVersion);
	return { kind: 'feature', feature: { ...feature, route: route ?? feature.route, prompt: prompt ?? feature.prompt } };
}

function findTarget(name: string, snapshot: Snapshot): Exclude<Target, { kind: 'switched_off' }> {
	const feature = snapshot.features.get(name);
	if (feature) return { kind: 'feature', feature };
	const model = snapshot.upstreams.get(name);
	if (model) return { kind: 'upstream', model };
	const variables = snapshot.switchedOff.get(name);
	if (variables) {
		const how = variables.length > 0 ? ` Set ${variables.join(' or ')} to switch it on.` : '';
		throw new PlimsollError('model_not_found', `The upstream ${name} is optional and switched off.${how}`, {
			param: 'model',
		});
	}
	const guess = nearest(name, [...snapshot.features.keys(), ...snapshot.upstreams.keys()]);
	throw new PlimsollError(
		'model_not_found',
		`No feature or upstream is named "${name.slice(0, 100)}".${guess ? ` Did you mean "${guess}"?` : ''} GET /v1/models lists the names.`,
		{ param: 'model' },
	);
}
