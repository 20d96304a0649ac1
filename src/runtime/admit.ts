import type { AdmissionConfig } from '../contracts/project.ts';
import { requireActive, requireScope } from '../policy/access.ts';
import type { Authenticator, Caller } from '../spec/identity.ts';
import { SCOPES, type Scope } from '../spec/records.ts';
import type { BufferedBytes } from './buffered-bytes.ts';
import type { Door } from './door.ts';
import { type LimitParts, RequestLimits } from './limits.ts';
import type { Places } from './places.ts';
import { fullQueue, noPlace } from './queue-refusal.ts';
import type { RequestContext } from './request-context.ts';

/** How a caller shows who it is: by a key or token that came with the request, or as code in our own process. */
export type Credentials =
	| { readonly kind: 'authorization'; readonly header: string | undefined; readonly scope: Scope }
	| { readonly kind: 'in_process'; readonly tenantId: string };

interface AdmitParts {
	readonly door: Door;
	readonly bytes: BufferedBytes;
	readonly places: Places;
	readonly authenticator: Authenticator;
	readonly rules: AdmissionConfig;
	readonly limits: LimitParts;
	/** Told when a place could not be given back to the shared state. */
	readonly onFault: (error: unknown) => void;
}

/**
 * admit: who asks, whether there is room to wait in, and whether the limits of the tenant and the key let it in. All of it
 * before the body is read; strangers take no room. Its place to run in comes with `assign`, when its deadline is known.
 */
export function admit(context: RequestContext, credentials: Credentials, parts: AdmitParts): Promise<void> {
	return context.step('admit', async (notes) => {
		context.admission = notes.detail;
		parts.door.requireOpen();
		const known = identify(credentials, parts.authenticator);
		const caller = known instanceof Promise ? await known : known;
		// From here on the trace says whose the request is, also when it is refused.
		context.caller = caller;
		context.trace.tenant_id = caller.tenantId;
		context.trace.key_id = caller.keyId;
		notes.detail.caller = caller.kind === 'in_process' ? 'in process' : caller.kind;
		if (credentials.kind === 'authorization') {
			notes.detail.scope = credentials.scope;
			requireScope(caller, credentials.scope);
		}
		requireActive(parts.limits.table, caller);
		const limits = new RequestLimits(parts.limits, caller);
		if (limits.isBatchKey) context.lowerPriority();
		notes.detail.priority = context.priority;
		enter(context, limits, parts);
		await limits.enter(notes);
	});
}

/** Into the house, where a tenant has room for what it may run and what it may have waiting. */
function enter(
	context: RequestContext,
	limits: RequestLimits,
	{ door, bytes, places, rules, onFault }: AdmitParts,
): void {
	const { tenantId } = context.caller;
	const { priority } = context;
	door.requireOpen();
	const running = Math.min(limits.tenantPlacesMax ?? rules.concurrentRequestsMax, rules.concurrentRequestsMax);
	const isCrowded = rules.queuedPerTenantMax > 0 && door.of(tenantId) >= running + rules.queuedPerTenantMax;
	// Where nobody may wait, a house as full as may be takes nobody in.
	if (rules.queuedPerTenantMax === 0 && door.inside >= rules.concurrentRequestsMax) throw noPlace(places.limit);
	if (isCrowded || places.isFull(tenantId, priority)) {
		throw fullQueue('flow', places.fullWaitMs(tenantId, running));
	}
	const held = bytes.open(tenantId);
	context.held = held;
	context.onLeave(() => held.close());
	context.onLeave(door.enter(tenantId));
	context.limits = limits;
	context.onLeave(() => {
		void limits
			.leave()
			?.catch(onFault)
			.then(() => places.freed(tenantId, limits.placeScopes));
	});
}

function identify(credentials: Credentials, authenticator: Authenticator): Caller | Promise<Caller> {
	if (credentials.kind === 'in_process') return inProcess(credentials.tenantId);
	return authenticator.authenticate(credentials.header);
}

/** Code in our own process may do whatever its process can. */
function inProcess(tenantId: string): Caller {
	return {
		kind: 'in_process',
		tenantId,
		keyId: null,
		keyName: null,
		scopes: SCOPES,
		features: null,
		user: null,
		groups: [],
	};
}
