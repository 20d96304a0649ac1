import type { LimitSet, LimitTable, TenantLimits } from '../contracts/project.ts';
import type { Counter, LimitName, SharedState } from '../spec/shared-state.ts';

/** One configured limit and how it stands. Costs in micro-dollars. */
export interface LimitRow {
	readonly tenantId: string;
	/** `tenant`, `key:<id>`, `feature:<name>`, or `each_user`. */
	readonly scope: string;
	readonly limit: LimitName;
	readonly max: number;
	/** Null for `each_user`: users are known by their hashes only, and are not listed. */
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
			const { settled, reserved } = usages[at] ?? { settled: 0, reserved: 0 };
			const left = Math.max(0, counter.max - settled - reserved);
			rows.push({ tenantId, ...counter, usage: { settled, reserved, left } });
		}
		rows.push(...rowsOf('each_user', own.eachUser).map((row) => ({ tenantId, ...row, usage: null })));
	}
	return rows;
}

function rowsOf(scope: string, limits: LimitSet): (Counter & { max: number })[] {
	return limits.map(({ limit, max }) => ({ scope, limit, max }));
}
