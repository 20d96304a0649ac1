import { canonicalJson } from '../base/canonical-json.ts';
import { leaves } from '../contracts/compile-limits.ts';
import { type DeclaredTenants, PROJECT_FILE } from '../contracts/project.ts';
import { valueAt } from '../contracts/schema-node.ts';
import { fieldName } from '../contracts/validation.ts';
import type { FieldPath } from '../contracts/yaml-document.ts';
import { PlimsollError } from '../spec/errors.ts';
import type { AuditEntry } from '../spec/records.ts';
import type { SettingsKind } from '../spec/tenants.ts';

/** Of one change so many fields are told one by one: the log is for people. */
const FIELDS_TOLD_MAX = 50;

/** Where plimsoll.yaml says things of this kind. */
export const SECTION = { tenant: 'tenants', organisation: 'organisations' } as const satisfies Record<
	SettingsKind,
	string
>;

/** Fields of one tenant or organisation that the file declares, with their lines. */
export function declaredFields(
	{ lines }: DeclaredTenants,
	{ kind, name }: { kind: SettingsKind; name: string },
): readonly { readonly field: string; readonly line: number }[] {
	const all = lines[SECTION[kind]];
	const fields = Object.hasOwn(all, name) ? all[name]?.fields : undefined;
	return Object.entries(fields ?? {}).map(([field, line]) => ({ field, line }));
}

/**
 * The settings without what the file says just so. Throws `managed_by_file` for a field on which file and settings
 * differ: the file would win, and nobody would see why the change does nothing.
 */
export function withoutDeclared<S extends object>(
	settings: S,
	declared: DeclaredTenants,
	of: { kind: SettingsKind; name: string },
): S {
	const own: S = structuredClone(settings);
	const lines = new Map(declaredFields(declared, of).map(({ field, line }) => [field, line]));
	const file = declared[SECTION[of.kind]][of.name];
	for (const path of setFields(settings)) {
		const field = fieldName(path) ?? '';
		const line = lines.get(field);
		if (line === undefined) continue;
		if (text(file, path) !== text(settings, path)) throw managedByFile({ ...of, field, line });
		take(own, path);
	}
	return own;
}

export function managedByFile(at: {
	kind: SettingsKind;
	name: string;
	/** Null: the whole. */
	field: string | null;
	line: number;
}): PlimsollError {
	const what = at.field === null ? `The ${at.kind} ${at.name}` : `${at.field} of the ${at.kind} ${at.name}`;
	return new PlimsollError(
		'managed_by_file',
		`${what} is declared in ${PROJECT_FILE}, line ${at.line}: edit it there.`,
		{
			...(at.field === null ? {} : { param: at.field }),
		},
	);
}

/** What a change says in the audit log: `limits.requests_per_minute: 600 → 1200`. */
export function changeDetail(before: unknown, after: unknown): AuditEntry['detail'] {
	const paths = new Map([...setFields(before), ...setFields(after)].map((path) => [fieldName(path) ?? '', path]));
	const changed = [...paths].filter(([, path]) => text(before, path) !== text(after, path));
	const told = changed
		.slice(0, FIELDS_TOLD_MAX)
		.map(([field, path]) => [field, `${text(before, path)} → ${text(after, path)}`]);
	const more = changed.length - told.length;
	return Object.fromEntries(more > 0 ? [...told, ['further_fields', more]] : told);
}

/** Fields that say something: what is left out says as little as an organisation of null or not being suspended. */
function setFields(settings: unknown): readonly FieldPath[] {
	return leaves(settings ?? {}).filter((path) => {
		const value = valueAt(settings, path);
		return path.length > 1 || (value !== null && value !== false);
	});
}

function text(settings: unknown, path: FieldPath): string {
	const value = valueAt(settings, path);
	if (value === undefined) return 'unset';
	return typeof value === 'string' ? value : canonicalJson(value);
}

/** Takes a field out of settings that nobody else holds. */
function take(settings: object, path: FieldPath): void {
	const last = path.at(-1);
	const holder = path.length === 1 ? settings : valueAt(settings, path.slice(0, -1));
	if (last === 'organisation' && path.length === 1) Object.assign(settings, { organisation: null });
	else if (typeof holder === 'object' && holder !== null && last !== undefined) Reflect.deleteProperty(holder, last);
}
