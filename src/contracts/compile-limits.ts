import { LIMITS, type LimitName } from '../spec/shared-state.ts';
import { type LimitSettings, NO_SETTINGS, type OrganisationSettings, type TenantSettings } from '../spec/tenants.ts';
import { usdToMicros } from './money.ts';
import type { DeclaredLines, DeclaredTenants, LimitSet, LimitTable, TenantLimits } from './project.ts';
import type { RawProject } from './project-schema.ts';
import { isMapping, valueAt } from './schema-node.ts';
import { fieldName } from './validation.ts';
import type { FieldPath, YamlDocument } from './yaml-document.ts';

/** What operators have set while the server ran, by name. */
export interface LiveSettings {
	readonly tenants: ReadonlyMap<string, TenantSettings>;
	readonly organisations: ReadonlyMap<string, OrganisationSettings>;
}

const NOTHING_LIVE: LiveSettings = { tenants: new Map(), organisations: new Map() };

/** What plimsoll.yaml says about tenants, as written, and on which line. */
export function declaredTenants(document: YamlDocument, raw: RawProject): DeclaredTenants {
	const lines = (section: 'tenants' | 'organisations') =>
		Object.fromEntries(
			Object.entries(raw[section]).map(([name, entry]) => [name, linesOf(document, [section, name], entry)]),
		);
	return {
		limits: raw.limits,
		tenants: mapped(raw.tenants, (tenant) => ({ ...tenant, suspended: false })),
		organisations: raw.organisations,
		lines: { tenants: lines('tenants'), organisations: lines('organisations') },
	};
}

function linesOf(document: YamlDocument, path: FieldPath, entry: unknown): DeclaredLines {
	// What the schema filled in is not declared.
	const written = leaves(entry).filter((field) => valueAt(document.value, [...path, ...field]) !== undefined);
	const fields = written.map((field) => [fieldName(field) ?? '', document.keyPlace([...path, ...field]).line] as const);
	return { entry: document.keyPlace(path).line, fields: Object.fromEntries(fields) };
}

/** All limits in force. What the file declares goes before what was set live, and that before `limits` of the file. */
export function limitTable(declared: DeclaredTenants, live: LiveSettings = NOTHING_LIVE): LimitTable {
	const organisations = mergedNames(declared.organisations, live.organisations, (file, set) =>
		limitSet({ ...set?.limits, ...file?.limits }),
	);
	const compiled = (settings: TenantSettings): TenantLimits => ({
		// One that is gone holds nobody any more.
		organisation:
			settings.organisation !== null && Object.hasOwn(organisations, settings.organisation)
				? settings.organisation
				: null,
		suspended: settings.suspended,
		tenant: limitSet({ ...declared.limits, ...settings.limits }),
		keys: mapped(settings.keys, limitSet),
		features: mapped(settings.features, limitSet),
		eachUser: limitSet(settings.each_user),
		weight: settings.weight ?? 1,
		batchKeys: settings.batch_keys ?? [],
	});
	return {
		standard: compiled(NO_SETTINGS),
		tenants: mergedNames(declared.tenants, live.tenants, (file, set) => compiled(mergedTenant(file, set))),
		organisations,
	};
}

/** One tenant's settings as they hold, without the defaults of all tenants. */
export function mergedTenant(file: TenantSettings = NO_SETTINGS, live: TenantSettings = NO_SETTINGS): TenantSettings {
	return {
		organisation: file.organisation ?? live.organisation,
		suspended: live.suspended,
		limits: { ...live.limits, ...file.limits },
		keys: mergedLimits(file.keys, live.keys),
		features: mergedLimits(file.features, live.features),
		each_user: { ...live.each_user, ...file.each_user },
		weight: file.weight ?? live.weight,
		batch_keys: file.batch_keys ?? live.batch_keys,
	};
}

/** Paths of the values that are set below a value: `limits.requests_per_minute`. */
export function leaves(value: unknown, path: FieldPath = []): readonly FieldPath[] {
	if (!isMapping(value)) return value === undefined ? [] : [path];
	return Object.entries(value).flatMap(([key, member]) => leaves(member, [...path, key]));
}

function limitSet(raw: LimitSettings): LimitSet {
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

function mergedLimits(
	file: Readonly<Record<string, LimitSettings>>,
	live: Readonly<Record<string, LimitSettings>>,
): Readonly<Record<string, LimitSettings>> {
	return mergedNames(file, new Map(Object.entries(live)), (one, other) => ({ ...other, ...one }));
}

function mergedNames<F, L, C>(
	file: Readonly<Record<string, F>>,
	live: ReadonlyMap<string, L>,
	merge: (file: F | undefined, live: L | undefined) => C,
): Readonly<Record<string, C>> {
	const names = new Set([...Object.keys(file), ...live.keys()]);
	// Without a prototype: names come from requests, too.
	const all: Record<string, C> = Object.create(null);
	for (const name of names) all[name] = merge(Object.hasOwn(file, name) ? file[name] : undefined, live.get(name));
	return all;
}

function mapped<R, C>(raw: Readonly<Record<string, R>>, compile: (raw: R) => C): Readonly<Record<string, C>> {
	return Object.fromEntries(Object.entries(raw).map(([name, value]) => [name, compile(value)]));
}
