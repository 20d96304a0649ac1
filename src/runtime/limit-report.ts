import type { LimitSet, LimitTable, TenantLimits } from '../contracts/project.ts';
import { organisationScope } from '../policy/limits.ts';
import type { Counter, CounterUsage, LimitName, SharedState } from '../spec/shared-state.ts';

/** One configured limit and how it stands. Costs in micro-dollars. */
export interface LimitRow {
	/** Null for the organisation's own row, which belongs to no tenant. */
	readonly tenantId: string | null;
	/** `organisation:<name>`, `tenant`, `key:<id>`, `feature:<name>`, or `each_user`. */
	readonly scope: string;
	readonly limit: LimitName;
	readonly max: number;
	/**
	 * Null for `each_user`: users are known by their hashes only, and are not listed. Null for an organisation where a
	 * tenant looks: it would tell what the others use.
	 */
	readonly usage: { readonly settled: number; readonly reserved: number; readonly left: number } | null;
}

/** A tenant and its keys, so that limits by a key's name find the key. */
export interface LimitedTenant {
	readonly tenantId: string;
	readonly keys: readonly { readonly id: string; readonly name: string }[];
}

/** Every limit of these tenants, with what is used, reserved and left. One round trip for each tenant. */
export async function limitReport(
	table: LimitTable,
	tenants: readonly LimitedTenant[],
	{ state, now }: { state: SharedState; now: number },
): Promise<readonly LimitRow[]> {
	const rows: LimitRow[] = [];
	for (const { tenantId, keys } of tenants) {
		const own = Object.hasOwn(table.tenants, tenantId) ? (table.tenants[tenantId] as TenantLimits) : table.standard;
		const counters = [
			...rowsOf('tenant', own.tenant),
			...keys.flatMap(({ id, name }) => rowsOf(`key:${id}`, own.keys[id] ?? own.keys[name] ?? [])),
			...Object.entries(own.features).flatMap(([feature, limits]) => rowsOf(`feature:${feature}`, limits)),
		];
		const usages = counters.length > 0 ? await state.usage(tenantId, counters, now) : [];
		for (const [at, counter] of counters.entries()) {
			rows.push({ tenantId, ...counter, usage: usageRow(counter.max, usages[at]) });
		}
		rows.push(...rowsOf('each_user', own.eachUser).map((row) => ({ tenantId, ...row, usage: null })));
	}
	return rows;
}

/** The limits of the organisation that a tenant belongs to, as the tenant may see them. */
export function organisationLimits(table: LimitTable, tenantId: string): readonly LimitRow[] {
	const own = Object.hasOwn(table.tenants, tenantId) ? (table.tenants[tenantId] as TenantLimits) : table.standard;
	if (own.organisation === null) return [];
	const rows = rowsOf(organisationScope(own.organisation), table.organisations[own.organisation] ?? []);
	return rows.map((row) => ({ tenantId, ...row, usage: null }));
}

/** Every organisation's limits with what all its tenants use. */
export async function organisationReport(
	table: LimitTable,
	{ state, now }: { state: SharedState; now: number },
): Promise<readonly LimitRow[]> {
	const counters = Object.entries(table.organisations).flatMap(([name, limits]) =>
		rowsOf(organisationScope(name), limits),
	);
	// An organisation's counters belong to no tenant.
	const usages = counters.length > 0 ? await state.usage('', counters, now) : [];
	return counters.map((counter, at) => ({ tenantId: null, ...counter, usage: usageRow(counter.max, usages[at]) }));
}

function usageRow(max: number, usage: CounterUsage = { settled: 0, reserved: 0 }) {
	const { settled, reserved } = usage;
	return { settled, reserved, left: Math.max(0, max - settled - reserved) };
}

function rowsOf(scope: string, limits: LimitSet): (Counter & { max: number })[] {
	return limits.map(({ limit, max }) => ({ scope, limit, max }));
}
