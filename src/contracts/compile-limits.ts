import type * as z from 'zod';
import { LIMITS, type LimitName } from '../spec/shared-state.ts';
import { usdToMicros } from './money.ts';
import type { LimitSet, TenantLimits } from './project.ts';
import type { projectSchema } from './project-schema.ts';

type RawProject = z.output<typeof projectSchema>;
type RawLimits = RawProject['limits'];
type RawTenant = RawProject['tenants'][string];

/** What every tenant has that `tenants` does not name. */
export function defaultLimits({ limits }: RawProject): TenantLimits {
	return { tenant: limitSet(limits), keys: {}, features: {}, eachUser: [] };
}

export function tenantLimits({ limits, tenants }: RawProject): Readonly<Record<string, TenantLimits>> {
	const compile = (raw: RawTenant): TenantLimits => ({
		tenant: limitSet({ ...limits, ...raw.limits }),
		keys: mapped(raw.keys, limitSet),
		features: mapped(raw.features, limitSet),
		eachUser: limitSet(raw.each_user),
	});
	return mapped(tenants, compile);
}

function limitSet(raw: RawLimits): LimitSet {
	return LIMITS.flatMap((limit) => {
		const value = raw[limit];
		return value === undefined || value === null ? [] : [{ limit, max: inUnits(limit, value) }];
	});
}

function inUnits(limit: LimitName, value: number): number {
	if (limit !== 'cost_usd_per_day' && limit !== 'cost_usd_per_month') return value;
	const micros = usdToMicros(value);
	if (micros === null) throw new RangeError(`${value} US dollars passed the schema but have no exact micro-dollars`);
	return micros;
}

function mapped<R, C>(raw: Readonly<Record<string, R>>, compile: (raw: R) => C): Readonly<Record<string, C>> {
	return Object.fromEntries(Object.entries(raw).map(([name, value]) => [name, compile(value)]));
}
