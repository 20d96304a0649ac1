import { nearest } from '../base/nearest.ts';
import { requireFeature } from '../policy/access.ts';
import { PlimsollError } from '../spec/errors.ts';
import type { Model } from '../spec/model.ts';
import type { Feature, Snapshot } from './feature.ts';
import type { Places } from './places.ts';
import type { ChatRequest } from './request.ts';
import type { RequestContext } from './request-context.ts';
import { takePlace } from './take-place.ts';

/** What the name in `model` turned out to be. */
export type Target =
	| { readonly kind: 'feature'; readonly feature: Feature }
	| { readonly kind: 'upstream'; readonly model: Model };

/** assign: whether the caller may, which release answers, by when, and a place to run in, which it may have to wait for. */
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
		await takePlace(context, places, notes);
		return target;
	});
}

function findTarget(name: string, snapshot: Snapshot): Target {
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
