import type { RequestLimits } from './limits.ts';
import type { Leases, Places } from './places.ts';
import type { RequestContext, StepNotes } from './request-context.ts';

/** A place for the request until it ends: at once, or when it is its turn. Its deadline must be set. */
export async function takePlace(context: RequestContext, places: Places, notes: StepNotes): Promise<void> {
	const { limits, priority, caller, admission } = context;
	const scopes = limits?.placeScopes ?? [];
	admission.priority = priority;
	const place = await places.enter({
		tenantId: caller.tenantId,
		weight: limits?.weight ?? 1,
		priority,
		remainingMs: context.deadline.remainingMs(),
		signal: context.signal,
		leases: limits === null || scopes.length === 0 ? null : leasesOf(limits, notes),
	});
	context.onLeave(() => place.leave());
	if (place.position === 0) return;
	context.queuedMs = Math.round(place.queuedMs * 1000) / 1000;
	admission.queued_ms = context.queuedMs;
	admission.queue_position = place.position;
}

function leasesOf(limits: RequestLimits, notes: StepNotes): Leases {
	return {
		scopes: limits.placeScopes,
		take: () => limits.takePlaces(notes),
		refused(refusal) {
			notes.detail.refused_scope = refusal.claim.scope;
			notes.detail.refused_limit = refusal.claim.limit;
			return limits.refused(refusal);
		},
	};
}
