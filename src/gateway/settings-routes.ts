import { organisationSettings, tenantSettings } from '../contracts/limits-schema.ts';
import { PROJECT_FILE } from '../contracts/project.ts';
import { PlimsollError } from '../spec/errors.ts';
import type { SettingsKind } from '../spec/tenants.ts';
import { callerOf, type Exchange, iso, type PlainRoute, pathParameter } from './route.ts';
import type { SettingsTarget, SettingsView } from './settings-operator.ts';

const IF_MATCH = {
	'if-match': 'the version that the change is for, as the ETag of GET says it; "0": only where nothing is set live',
};
const COMMON = { scope: 'admin', traced: false } as const;

/** Tenants and organisations: what plimsoll.yaml does not declare of them is set here. */
export const SETTINGS_ROUTES: readonly PlainRoute[] = [
	{
		...COMMON,
		method: 'GET',
		path: '/admin/tenants',
		summary: 'All tenants, with what is set for them live, what the file declares, and what is in force.',
		body: null,
		handle: async ({ parts }) => ({ tenants: (await parts.operator.settings.list('tenant')).map(settingsRow) }),
	},
	{
		...COMMON,
		method: 'GET',
		path: '/admin/tenants/{tenant}',
		summary: 'One tenant. Its ETag is the version that If-Match takes.',
		body: null,
		handle: (exchange) => show(exchange, 'tenant'),
	},
	{
		...COMMON,
		method: 'PUT',
		path: '/admin/tenants/{tenant}',
		summary:
			'Replaces what is set live for the tenant, for new requests at once. Fields that the file declares are refused.',
		body: tenantSettings,
		headers: IF_MATCH,
		handle: (exchange) => set(exchange, 'tenant'),
	},
	{
		...COMMON,
		method: 'DELETE',
		path: '/admin/tenants/{tenant}',
		summary: 'Forgets what is set live for the tenant and revokes all of its keys.',
		body: null,
		headers: IF_MATCH,
		handle: (exchange) => remove(exchange, 'tenant'),
	},
	{
		...COMMON,
		method: 'GET',
		path: '/admin/organisations',
		summary: 'All organisations, with their tenants and limits, and what says so.',
		body: null,
		handle: async ({ parts }) => ({
			organisations: (await parts.operator.settings.list('organisation')).map(settingsRow),
		}),
	},
	{
		...COMMON,
		method: 'GET',
		path: '/admin/organisations/{organisation}',
		summary: 'One organisation. Its ETag is the version that If-Match takes.',
		body: null,
		handle: (exchange) => show(exchange, 'organisation'),
	},
	{
		...COMMON,
		method: 'PUT',
		path: '/admin/organisations/{organisation}',
		summary: 'Replaces the limits that are set live for the organisation. Fields that the file declares are refused.',
		body: organisationSettings,
		headers: IF_MATCH,
		handle: (exchange) => set(exchange, 'organisation'),
	},
	{
		...COMMON,
		method: 'DELETE',
		path: '/admin/organisations/{organisation}',
		summary: 'Forgets the organisation. Refused while it has tenants.',
		body: null,
		headers: IF_MATCH,
		handle: (exchange) => remove(exchange, 'organisation'),
	},
];

async function show(exchange: Exchange, kind: SettingsKind): Promise<unknown> {
	const name = pathParameter(exchange.request, kind);
	return answer(exchange, await exchange.parts.operator.settings.show(kind, name));
}

async function set(exchange: Exchange, kind: SettingsKind): Promise<unknown> {
	const { request, parts } = exchange;
	return answer(
		exchange,
		await parts.operator.settings.set(targetOf(exchange, kind), request.body, callerOf(exchange)),
	);
}

async function remove(exchange: Exchange, kind: SettingsKind): Promise<unknown> {
	const target = targetOf(exchange, kind);
	const keys = await exchange.parts.operator.settings.remove(target, callerOf(exchange));
	return { name: target.name, deleted: true, keys_revoked: keys };
}

/** A tenant or an organisation as clients see it. */
export function settingsRow(view: SettingsView) {
	return {
		name: view.name,
		version: view.version,
		settings: view.settings,
		effective: view.effective,
		managed_by_file: view.managedByFile.map(({ field, line }) => ({ field, file: PROJECT_FILE, line })),
		keys: view.keys,
		tenants: view.tenants,
		changed_at: iso(view.changedAt),
		changed_by: view.changedBy,
	};
}

function answer({ reply }: Exchange, view: SettingsView) {
	reply.header('etag', `"${view.version}"`);
	return settingsRow(view);
}

/** Throws `request_invalid` for an If-Match that is no version. */
function targetOf(exchange: Exchange, kind: SettingsKind): SettingsTarget {
	const header = exchange.request.headers['if-match'];
	const name = pathParameter(exchange.request, kind);
	if (header === undefined || header === '*') return { kind, name, ifVersion: null };
	const [, version] = /^"?(\d{1,15})"?$/.exec(header) ?? [];
	if (version !== undefined) return { kind, name, ifVersion: Number(version) };
	throw new PlimsollError('request_invalid', 'if-match: expected one version such as "3", as the ETag says it.', {
		param: 'if-match',
	});
}
