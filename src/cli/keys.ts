import { type Command, InvalidArgumentError, Option } from 'commander';
import type { KeyReply } from '../app/gateway-reply.ts';
import { SCOPES, type Scope } from '../spec/records.ts';
import { addKeyLog } from './audit.ts';
import { day, duration, expiry, isPast } from './key-time.ts';
import { example, inSession, type ServerOptions, withJson, withServer } from './options.ts';
import { showTable } from './table.ts';
import { oneLine, type Terminal } from './terminal.ts';

interface CreateOptions extends ServerOptions {
	readonly name: string;
	readonly scopes: readonly Scope[];
	readonly tenant: string;
	readonly features?: readonly string[];
	readonly expires?: string;
}

interface RotateOptions extends ServerOptions {
	readonly overlap: number;
	readonly expires?: string;
}

export function addKeys(program: Command, terminal: Terminal): void {
	const keys = program
		.command('keys')
		.summary('make, list, rotate and revoke keys')
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
	addRotate(keys, terminal);
	const revoke = keys
		.command('revoke')
		.argument('<id>', 'the key’s id, as keys list shows it')
		.description('Revokes a key: requests with it are refused from now on.')
		.action((id: string, options: ServerOptions) => revokeKey(id, options, terminal));
	withJson(withServer(revoke), 'what was revoked as one JSON document');
	example(revoke, 'plimsoll keys revoke 7d2k9x4m1q8z');
	addKeyLog(keys, terminal);
	addUserHash(keys, terminal);
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
		.option('--features <list>', 'comma-separated: the only features that it may call', nameList)
		.option('--expires <when>', 'a time from now such as 90d or 12h, or a date such as 2027-01-31', expiry)
		.action((options: CreateOptions) => createKey(options, terminal));
	withJson(withServer(create), 'the key with its secret as one JSON document');
	example(
		create,
		'plimsoll keys create --name web-shop\nplimsoll keys create --name nightly --scopes invoke,ingest --tenant acme\nKEY=$(plimsoll keys create --name trial --features ask-docs --expires 90d)',
	);
}

function addRotate(keys: Command, terminal: Terminal): void {
	const rotate = keys
		.command('rotate')
		.argument('<id>', 'the key’s id, as keys list shows it')
		.description(
			'Makes a key with the same rights and lets the old one expire after the overlap. The new secret goes to standard output, only this once.',
		)
		.addOption(
			new Option('--overlap <time>', 'how long both keys work, such as 2h or 0s')
				.argParser(duration)
				.default(86_400_000, '24h'),
		)
		.option('--expires <when>', 'when the new key expires (default: after as long a life as the old one had)', expiry)
		.action((id: string, options: RotateOptions) => rotateKey(id, options, terminal));
	withJson(withServer(rotate), 'the new key with its secret as one JSON document');
	example(rotate, 'plimsoll keys rotate 7d2k9x4m1q8z --overlap 24h');
}

function addUserHash(keys: Command, terminal: Terminal): void {
	const command = keys
		.command('rotate-user-hash')
		.description(
			'Takes a new secret for the hashes under which users are stored, and forgets the old one: hashes of before and after cannot be linked.',
		)
		.action(async (options: ServerOptions) => {
			const version = await inSession(options, terminal, (session) => session.rotateUserHash());
			if (terminal.json) terminal.record({ version });
			else terminal.line(`Users are hashed with the secret ${version} from now on.`);
		});
	withJson(withServer(command), 'the new version as one JSON document');
	example(command, 'plimsoll keys rotate-user-hash');
}

async function rotateKey(id: string, ask: RotateOptions, terminal: Terminal): Promise<void> {
	const { overlap, expires = null, ...options } = ask;
	const bare = idOf(id);
	const key = await inSession(options, terminal, (session) =>
		session.rotateKey(bare, { overlap_ms: overlap, expires_at: expires }),
	);
	if (terminal.json) {
		terminal.record(key);
		return;
	}
	terminal.note(`Key ${key.id} replaces ${bare}, with the same rights. Its secret, shown only now:`);
	terminal.line(key.secret);
}

async function createKey(ask: CreateOptions, terminal: Terminal): Promise<void> {
	const { name, scopes, tenant, features = null, expires = null, ...options } = ask;
	const key = await inSession(options, terminal, (session) =>
		session.createKey({ name, tenant, scopes, features, expires_at: expires }),
	);
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
		key.features?.join(',') ?? 'all',
		day(key.created_at),
		key.last_used_at === null ? 'never' : day(key.last_used_at),
		state(key, terminal),
	]);
	showTable(COLUMNS, rows, terminal);
}

async function revokeKey(id: string, options: ServerOptions, terminal: Terminal): Promise<void> {
	const bare = idOf(id);
	await inSession(options, terminal, (session) => session.revokeKey(bare));
	if (terminal.json) terminal.record({ id: bare, revoked: true });
	else terminal.line(`Key ${bare} is revoked.`);
}

/** A whole key names its id too; the rest of it must not reach a message or a log. */
function idOf(text: string): string {
	return /^plim_([^_]+)_/.exec(text)?.[1] ?? text;
}

function state({ revoked_at: revokedAt, expires_at: expiresAt }: KeyReply, terminal: Terminal): string {
	if (revokedAt !== null) return terminal.paint('yellow', `revoked ${day(revokedAt)}`);
	if (expiresAt === null) return '';
	return isPast(expiresAt) ? terminal.paint('yellow', `expired ${day(expiresAt)}`) : `until ${day(expiresAt)}`;
}

function nameList(text: string): readonly string[] {
	return text.split(',').map((part) => part.trim());
}

function scopeList(text: string): readonly Scope[] {
	return text.split(',').map((part) => {
		const scope = SCOPES.find((known) => known === part.trim());
		if (scope === undefined)
			throw new InvalidArgumentError(`"${part.trim()}" is not a scope; they are ${SCOPES.join(', ')}.`);
		return scope;
	});
}

const COLUMNS = [
	{ title: 'id' },
	{ title: 'name' },
	{ title: 'tenant' },
	{ title: 'scopes' },
	{ title: 'features' },
	{ title: 'created (UTC)' },
	{ title: 'last used' },
	{ title: '' },
];
