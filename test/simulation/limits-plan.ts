import type { LimitSet, LimitTable, TenantLimits } from '../../src/contracts/project.ts';
import type { LimitName } from '../../src/spec/shared-state.ts';
import { UNLIMITED } from '../support/runtime-fixture.ts';
import type { Dice } from './dice.ts';

/** Where a tenant's limits may bite: low enough that a busy run meets them, in each unit. */
const RANGES: Readonly<Record<LimitName, readonly [low: number, high: number]>> = {
	requests_per_minute: [30, 600],
	tokens_per_minute: [2_000, 60_000],
	concurrent_requests: [2, 40],
	cost_usd_per_day: [4_000, 400_000],
	cost_usd_per_month: [20_000, 800_000],
};
const NAMES = Object.keys(RANGES) as LimitName[];

/** The one that some tenants share. */
const ORGANISATION = 'group';

function drawSet(dice: Dice, probability: number): LimitSet {
	return NAMES.filter(() => dice.chance(probability)).map((limit) => {
		const [low, high] = RANGES[limit];
		return { limit, max: dice.whole(low, high) };
	});
}

/** Limits for each tenant, at some or all of the places where they may stand. */
export function drawLimits(dice: Dice, names: { tenants: readonly string[]; features: readonly string[] }): LimitTable {
	const standard: TenantLimits = { ...UNLIMITED, tenant: drawSet(dice, 0.3) };
	const tenants: Record<string, TenantLimits> = {};
	for (const tenant of names.tenants) {
		if (dice.chance(0.15)) continue;
		tenants[tenant] = {
			...UNLIMITED,
			organisation: dice.chance(0.5) ? ORGANISATION : null,
			weight: dice.pick([1, 1, 1, 3]),
			batchKeys: dice.chance(0.1) ? ['web'] : [],
			tenant: drawSet(dice, 0.6),
			keys: dice.chance(0.4) ? { web: drawSet(dice, 0.5) } : {},
			features: dice.chance(0.4) ? { [dice.pick(names.features)]: drawSet(dice, 0.5) } : {},
			eachUser: dice.chance(0.3) ? drawSet(dice, 0.3) : [],
		};
	}
	return { standard, tenants, organisations: { [ORGANISATION]: drawSet(dice, 0.4) } };
}

/** The same limits, lower or higher: an operator's edit in the middle of it all. */
export function scaleLimits(table: LimitTable, factor: number): LimitTable {
	const set = (limits: LimitSet): LimitSet =>
		limits.map(({ limit, max }) => ({ limit, max: Math.max(1, Math.floor(max * factor)) }));
	const sets = (by: Readonly<Record<string, LimitSet>>) =>
		Object.fromEntries(Object.entries(by).map(([name, limits]) => [name, set(limits)]));
	const tenant = (limits: TenantLimits): TenantLimits => ({
		...limits,
		tenant: set(limits.tenant),
		keys: sets(limits.keys),
		features: sets(limits.features),
		eachUser: set(limits.eachUser),
	});
	return {
		standard: tenant(table.standard),
		tenants: Object.fromEntries(Object.entries(table.tenants).map(([name, limits]) => [name, tenant(limits)])),
		organisations: sets(table.organisations),
	};
}

/** The same tenants, limited in nothing. */
export function withoutLimits(table: LimitTable): LimitTable {
	const tenants = Object.entries(table.tenants).map(([name, { weight }]) => [name, { ...UNLIMITED, weight }] as const);
	return { standard: UNLIMITED, tenants: Object.fromEntries(tenants), organisations: {} };
}

/** What the files say that a counter may hold; null: nothing. Read here anew, not with the product's eyes. */
export function capOf(table: LimitTable, tenant: string, counter: { scope: string; limit: LimitName }): number | null {
	const own = table.tenants[tenant] ?? table.standard;
	const [kind = '', name = ''] = counter.scope.split(':');
	const sets: Readonly<Record<string, LimitSet | undefined>> = {
		organisation: table.organisations[name],
		tenant: own.tenant,
		key: own.keys.web,
		feature: own.features[name],
		user: own.eachUser,
	};
	return sets[kind]?.find(({ limit }) => limit === counter.limit)?.max ?? null;
}
