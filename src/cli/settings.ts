import type { Command } from 'commander';
import type { SettingsReply } from '../app/gateway-reply.ts';
import type { SettingsKind } from '../spec/tenants.ts';
import { type Assignment, assigned, assignments } from './assignment.ts';
import { day } from './key-time.ts';
import { example, inSession, integerBetween, type ServerOptions, withJson, withServer } from './options.ts';
import { showTable } from './table.ts';
import { oneLine, type Terminal } from './terminal.ts';
import { count } from './units.ts';

interface ChangeOptions extends ServerOptions {
	readonly ifVersion?: number;
}

interface DeleteOptions extends ChangeOptions {
	readonly yes?: true;
}

const VERSION_MAX = 1_000_000_000;

/** plimsoll tenants */
export function addTenants(program: Command, terminal: Terminal): void {
	const tenants = program
		.command('tenants')
		.summary('list, set, suspend and delete tenants')
		.description(
			'Manages tenants while the server runs: their organisation, their limits, and whether they are let in. What plimsoll.yaml declares is changed there.',
		);
	addCommon(tenants, 'tenant', terminal);
	for (const [name, suspended] of [
		['suspend', true],
		['resume', false],
	] as const) {
		const command = tenants
			.command(name)
			.argument('<name>', 'the tenant')
			.description(
				suspended ? 'Refuses all requests of a tenant from now on; its keys stay.' : 'Lets a tenant in again.',
			)
			.option('--if-version <n>', 'only if the tenant still has this version', integerBetween(0, VERSION_MAX))
			.action((tenant: string, options: ChangeOptions) =>
				change({ kind: 'tenant', name: tenant, options }, (settings) => ({ ...settings, suspended }), terminal),
			);
		withJson(withServer(command), 'the tenant as one JSON document');
		example(command, `plimsoll tenants ${name} acme`);
	}
	example(tenants, 'plimsoll tenants set acme limits.cost_usd_per_day=40 organisation=globex\nplimsoll tenants list');
}

/** plimsoll organisations */
export function addOrganisations(program: Command, terminal: Terminal): void {
	const organisations = program
		.command('organisations')
		.summary('list, set and delete organisations')
		.description('Manages organisations while the server runs: limits over all tenants of one together.');
	addCommon(organisations, 'organisation', terminal);
	example(organisations, 'plimsoll organisations set globex limits.cost_usd_per_month=2000');
}

function addCommon(parent: Command, kind: SettingsKind, terminal: Terminal): void {
	const list = parent
		.command('list')
		.description(`Lists all ${kind}s.`)
		.action((options: ServerOptions) => listAll(kind, options, terminal));
	withJson(withServer(list), `the ${kind}s as one JSON document`);
	example(list, `plimsoll ${kind}s list`);
	const show = parent
		.command('show')
		.argument('<name>', `the ${kind}`)
		.description(`Shows what is in force for one ${kind}, and what says so.`)
		.action(async (name: string, options: ServerOptions) =>
			tell(await inSession(options, terminal, (session) => session.showSettings(kind, name)), terminal),
		);
	withJson(withServer(show), `the ${kind} as one JSON document`);
	example(show, `plimsoll ${kind}s show acme`);
	const set = parent
		.command('set')
		.argument('<name>', `the ${kind}`)
		.argument(
			'<field=value...>',
			'fields as in plimsoll.yaml; none is no limit, and nothing takes the field out',
			assignments,
		)
		.description(`Sets fields of a ${kind}, for new requests at once.`)
		.option('--if-version <n>', `only if the ${kind} still has this version`, integerBetween(0, VERSION_MAX))
		.action((name: string, fields: readonly Assignment[], options: ChangeOptions) =>
			change({ kind, name, options }, (settings) => assigned(settings, fields), terminal),
		);
	withJson(withServer(set), `the ${kind} as one JSON document`);
	example(
		set,
		`plimsoll ${kind}s set acme limits.requests_per_minute=600 limits.cost_usd_per_day=40\nplimsoll ${kind}s set acme limits.cost_usd_per_day=`,
	);
	addDelete(parent, kind, terminal);
}

function addDelete(parent: Command, kind: SettingsKind, terminal: Terminal): void {
	const what = kind === 'tenant' ? 'revokes all of its keys and forgets what was set for it' : 'forgets its limits';
	const remove = parent
		.command('delete')
		.argument('<name>', `the ${kind}`)
		.description(`Deletes a ${kind}: ${what}. Says so, and does it with --yes.`)
		.option('--yes', 'do it')
		.option('--if-version <n>', `only if the ${kind} still has this version`, integerBetween(0, VERSION_MAX))
		.action((name: string, options: DeleteOptions) => removeOne(kind, name, options, terminal));
	withJson(withServer(remove), 'what was deleted as one JSON document');
	example(remove, `plimsoll ${kind}s delete acme --yes`);
}

async function removeOne(
	kind: SettingsKind,
	name: string,
	{ yes, ifVersion, ...options }: DeleteOptions,
	terminal: Terminal,
): Promise<void> {
	await inSession(options, terminal, async (session) => {
		const { keys, version } = await session.showSettings(kind, name);
		const revokes = keys === null ? '' : `, which revokes ${count(keys, 'key')} at once`;
		if (!yes) {
			if (terminal.json) terminal.record({ name, deleted: false, version, keys });
			else terminal.line(`This would delete the ${kind} ${name}${revokes}. Nothing was changed: repeat it with --yes.`);
			return;
		}
		const revoked = await session.removeSettings({ kind, name, ifVersion: ifVersion ?? null });
		if (terminal.json) terminal.record({ name, deleted: true, keys_revoked: revoked });
		else
			terminal.line(`The ${kind} ${name} is deleted${keys === null ? '' : `, and ${count(revoked, 'key')} revoked`}.`);
	});
}

/** Reads, changes and writes: what somebody else changed in between is not overwritten. */
async function change(
	of: { readonly kind: SettingsKind; readonly name: string; readonly options: ChangeOptions },
	edit: (settings: object) => unknown,
	terminal: Terminal,
): Promise<void> {
	const { kind, name } = of;
	const { ifVersion, ...options } = of.options;
	const changed = await inSession(options, terminal, async (session) => {
		const all = await session.listSettings(kind);
		const known = all.find((one) => one.name === name);
		const version = known?.version ?? 0;
		const target = { kind, name, ifVersion: ifVersion ?? version };
		return session.setSettings(target, edit(known?.settings ?? {}));
	});
	tell(changed, terminal);
}

async function listAll(kind: SettingsKind, options: ServerOptions, terminal: Terminal): Promise<void> {
	const all = await inSession(options, terminal, (session) => session.listSettings(kind));
	if (terminal.json) {
		terminal.record({ [`${kind}s`]: all });
		return;
	}
	if (all.length === 0) {
		terminal.note(`There are no ${kind}s yet.`);
		return;
	}
	const rows = all.map((one) => [
		one.name,
		kind === 'tenant' ? (organisationOf(one) ?? '') : String(one.tenants?.length ?? 0),
		one.keys === null ? '' : String(one.keys),
		String(one.version),
		one.changed_at === null ? '' : day(one.changed_at),
		isSuspended(one) ? terminal.paint('yellow', 'suspended') : '',
	]);
	showTable(
		[
			{ title: kind },
			{ title: kind === 'tenant' ? 'organisation' : 'tenants' },
			{ title: kind === 'tenant' ? 'keys' : '', right: true },
			{ title: 'version', right: true },
			{ title: 'changed (UTC)' },
			{ title: '' },
		],
		rows,
		terminal,
	);
}

function tell(one: SettingsReply, terminal: Terminal): void {
	if (terminal.json) {
		terminal.record(one);
		return;
	}
	terminal.line(
		`${one.name}, version ${one.version}${isSuspended(one) ? `, ${terminal.paint('yellow', 'suspended')}` : ''}`,
	);
	if (one.keys !== null) terminal.line(`  ${count(one.keys, 'key')} in force`);
	if (one.tenants !== null) terminal.line(`  tenants: ${one.tenants.join(', ') || 'none'}`);
	if (one.changed_at !== null) terminal.line(`  changed ${day(one.changed_at)} by ${oneLine(one.changed_by ?? '')}`);
	const lines = new Map(one.managed_by_file.map(({ field, file, line }) => [field, `${file}, line ${line}`]));
	const rows = fields(one.effective).map(([field, value]) => [oneLine(field), value, lines.get(field) ?? 'set live']);
	if (rows.length === 0) terminal.line('  nothing is set; the limits of plimsoll.yaml for every tenant hold');
	else showTable([{ title: 'field' }, { title: 'value', right: true }, { title: 'said by' }], rows, terminal, '  ');
}

/** Every field that says something, by its name in plimsoll.yaml. */
function fields(settings: object, prefix = ''): [string, string][] {
	return Object.entries(settings).flatMap(([key, value]): [string, string][] => {
		const name = `${prefix}${key}`;
		if (typeof value === 'object' && value !== null) return fields(value, `${name}.`);
		if (name === 'suspended' || value === undefined || (name === 'organisation' && value === null)) return [];
		return [[name, value === null ? 'none' : String(value)]];
	});
}

function organisationOf({ effective }: SettingsReply): string | null {
	return 'organisation' in effective ? effective.organisation : null;
}

function isSuspended({ effective }: SettingsReply): boolean {
	return 'suspended' in effective && effective.suspended;
}
