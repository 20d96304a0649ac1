import { type Command, InvalidArgumentError } from 'commander';
import { SCOPES, type Scope } from '../spec/records.ts';
import { example, inSession, type ServerOptions, withJson, withServer } from './options.ts';
import { showTable } from './table.ts';
import { oneLine, type Terminal } from './terminal.ts';

interface CreateOptions extends ServerOptions {
	readonly name: string;
	readonly scopes: readonly Scope[];
	readonly tenant: string;
}

export function addKeys(program: Command, terminal: Terminal): void {
	const keys = program
		.command('keys')
		.summary('make, list and revoke keys')
		.description(
			'Manages the keys that clients of the gateway show. Changes count at once, also for a running server.',
		);
	addCreate(keys, terminal);
	const list = keys
		.command('list')
		.description('Lists all keys, revoked ones too. Secrets are not stored and cannot be shown.')
		.action((options: ServerOptions) => listKeys(options, terminal));
	withJson(withServer(list), 'the keys as one JSON document');
	example(list, 'plimsoll keys list');
	const revoke = keys
		.command('revoke')
		.argument('<id>', 'the key’s id, as keys list shows it')
		.description('Revokes a key: requests with it are refused from now on.')
		.action((id: string, options: ServerOptions) => revokeKey(id, options, terminal));
	withJson(withServer(revoke), 'what was revoked as one JSON document');
	example(revoke, 'plimsoll keys revoke 7d2k9x4m1q8z');
	example(
		keys,
		'plimsoll keys create --name web-shop --scopes invoke\nplimsoll keys list\nplimsoll keys revoke 7d2k9x4m1q8z',
	);
}

function addCreate(keys: Command, terminal: Terminal): void {
	const create = keys
		.command('create')
		.description('Makes a key. Its secret goes to standard output, alone and only this once; store it now.')
		.requiredOption('--name <name>', 'what the key is for')
		.option('--scopes <list>', `comma-separated: ${SCOPES.join(', ')}`, scopeList, ['invoke'] as readonly Scope[])
		.option('--tenant <tenant>', 'whose key it is', 'default')
		.action((options: CreateOptions) => createKey(options, terminal));
	withJson(withServer(create), 'the key with its secret as one JSON document');
	example(
		create,
		'plimsoll keys create --name web-shop\nplimsoll keys create --name nightly --scopes invoke,ingest --tenant acme\nKEY=$(plimsoll keys create --name trial)',
	);
}

async function createKey({ name, scopes, tenant, ...options }: CreateOptions, terminal: Terminal): Promise<void> {
	const key = await inSession(options, terminal, (session) => session.createKey({ name, tenant, scopes }));
	if (terminal.json) {
		terminal.record(key);
		return;
	}
	terminal.note(`Key ${key.id} for tenant ${key.tenant}, scopes ${key.scopes.join(', ')}. Its secret, shown only now:`);
	terminal.line(key.secret);
}

async function listKeys(options: ServerOptions, terminal: Terminal): Promise<void> {
	const keys = await inSession(options, terminal, (session) => session.listKeys());
	if (terminal.json) {
		terminal.record({ keys });
		return;
	}
	if (keys.length === 0) {
		terminal.note('There are no keys yet; plimsoll start makes one for development, plimsoll keys create any other.');
		return;
	}
	const rows = keys.map((key) => [
		key.id,
		oneLine(key.name),
		key.tenant,
		key.scopes.join(','),
		day(key.created_at),
		key.revoked_at === null ? '' : terminal.paint('yellow', `revoked ${day(key.revoked_at)}`),
	]);
	showTable(COLUMNS, rows, terminal);
}

async function revokeKey(id: string, options: ServerOptions, terminal: Terminal): Promise<void> {
	// A whole key names its id too; the rest of it must not reach a message or a log.
	const bare = /^plim_([^_]+)_/.exec(id)?.[1] ?? id;
	await inSession(options, terminal, (session) => session.revokeKey(bare));
	if (terminal.json) terminal.record({ id: bare, revoked: true });
	else terminal.line(`Key ${bare} is revoked.`);
}

function scopeList(text: string): readonly Scope[] {
	return text.split(',').map((part) => {
		const scope = SCOPES.find((known) => known === part.trim());
		if (scope === undefined)
			throw new InvalidArgumentError(`"${part.trim()}" is not a scope; they are ${SCOPES.join(', ')}.`);
		return scope;
	});
}

function day(iso: string): string {
	return iso.slice(0, 16).replace('T', ' ');
}

const COLUMNS = [
	{ title: 'id' },
	{ title: 'name' },
	{ title: 'tenant' },
	{ title: 'scopes' },
	{ title: 'created (UTC)' },
	{ title: '' },
];
