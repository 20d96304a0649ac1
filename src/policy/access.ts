import type { LimitTable } from '../contracts/project.ts';
import { PlimsollError } from '../spec/errors.ts';
import type { Caller } from '../spec/identity.ts';
import type { Scope } from '../spec/records.ts';

/** Throws `scope_missing` unless the caller has the scope. Scopes do not contain each other. */
export function requireScope(caller: Caller, scope: Scope): void {
	if (caller.scopes.includes(scope)) return;
	const has = caller.scopes.length === 0 ? 'none' : caller.scopes.join(', ');
	throw new PlimsollError('scope_missing', `This needs the scope "${scope}"; this caller has: ${has}.`);
}

/** Throws `tenant_suspended` when an operator has suspended the caller's tenant. */
export function requireActive({ tenants }: LimitTable, { tenantId }: Caller): void {
	if (!Object.hasOwn(tenants, tenantId) || !tenants[tenantId]?.suspended) return;
	throw new PlimsollError('tenant_suspended', `The tenant ${tenantId} is suspended.`);
}

/**
 * Throws `feature_not_allowed` when the caller is held to a list of features and `name` is not on it. Asked before the
 * name is looked up, so that the refusal does not tell which names exist.
 */
export function requireFeature(caller: Caller, name: string): void {
	if (mayCall(caller, name)) return;
	throw new PlimsollError('feature_not_allowed', `This caller may not call "${name.slice(0, 100)}".`, {
		param: 'model',
	});
}

/** Throws `feature_not_allowed` for a caller that is held to features: raw passages would bypass what a feature guards. */
export function requireSearch(caller: Caller): void {
	if (caller.features === null) return;
	throw new PlimsollError('feature_not_allowed', 'This caller may call its features only, not search collections.');
}

export function mayCall(caller: Caller, name: string): boolean {
	return caller.features === null || caller.features.includes(name);
}
