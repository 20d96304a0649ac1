import { Socket } from 'node:net';
import { Client, type FieldDef } from 'pg';
import { PlimsollError } from '../../spec/errors.ts';
import type { OpenSource, SourceItem } from '../source-item.ts';
import type { ConfigOf, SourceAccess } from './access.ts';
import { recordItem } from './record.ts';

type PostgresConfig = ConfigOf<'postgres'>;

/** Rows that one fetch brings: with them, memory is bounded whatever the query finds. */
const FETCH_ROWS = 100;
/** How long an orderly goodbye may take. */
const END_MS = 2_000;

/**
 * The rows of a query, fetched through a cursor in a read-only transaction that sees one moment of the database. Throws
 * `source_unusable` when the database cannot be reached, the query fails, or a column is missing; also in the middle.
 */
export async function openPostgres(
	config: PostgresConfig,
	{ clock }: Pick<SourceAccess, 'clock'>,
	signal: AbortSignal,
): Promise<OpenSource> {
	// Asked for nothing first, so that a run fails before it changes anything.
	await withClient({ config, clock, signal }, async (client) => {
		const { fields } = await client.query(`select * from (${withoutEnd(config.query)}) as documents limit 0`);
		checkColumns(config, fields);
	});
	return {
		total: null,
		items: () => rowsOf({ config, clock, signal }),
	};
}

interface Asking extends Pick<SourceAccess, 'clock'> {
	readonly config: PostgresConfig;
	readonly signal: AbortSignal;
}

async function* rowsOf(asking: Asking): AsyncGenerator<SourceItem> {
	const { config, signal } = asking;
	const { client, end } = await connected(asking);
	try {
		await client.query('begin transaction isolation level repeatable read read only');
		await client.query(`declare documents no scroll cursor for ${withoutEnd(config.query)}`);
		const shape = {
			what: 'column',
			id: config.idColumn,
			text: config.textColumn,
			title: config.titleColumn,
			format: config.format,
		};
		for (let row = 0; ; ) {
			const { rows } = await client.query<Record<string, unknown>>(`fetch ${FETCH_ROWS} from documents`);
			for (const record of rows) yield recordItem(record, shape, `row ${++row}`);
			if (rows.length < FETCH_ROWS) return;
		}
	} catch (cause) {
		signal.throwIfAborted();
		throw cause instanceof PlimsollError ? cause : unusable(config, cause);
	} finally {
		await end();
	}
}

async function withClient(asking: Asking, use: (client: Client) => Promise<void>): Promise<void> {
	const { config, signal } = asking;
	const { client, end } = await connected(asking);
	try {
		await use(client);
	} catch (cause) {
		signal.throwIfAborted();
		throw cause instanceof PlimsollError ? cause : unusable(config, cause);
	} finally {
		await end();
	}
}

async function connected({ config, clock, signal }: Asking): Promise<{ client: Client; end: () => Promise<void> }> {
	signal.throwIfAborted();
	// Ours, so that it can be cut off without waiting for a server that does not answer.
	const socket = new Socket();
	const client = new Client({
		stream: () => socket,
		connectionString: config.url,
		connectionTimeoutMillis: config.connectTimeoutMs,
		statement_timeout: config.statementTimeoutMs,
		// The server's limit comes first; this one is for a server that does not answer at all.
		query_timeout: config.statementTimeoutMs + 5_000,
		idle_in_transaction_session_timeout: 0,
		application_name: 'plimsoll',
		options: '-c default_transaction_read_only=on',
	});
	// A connection that breaks fails the query that waits for it; without a listener it would end the process.
	client.on('error', () => {});
	const cut = () => void socket.destroy();
	signal.addEventListener('abort', cut, { once: true });
	const end = async () => {
		signal.removeEventListener('abort', cut);
		// A goodbye over a connection that is gone already is never answered.
		const { promise: late, resolve } = Promise.withResolvers<void>();
		const cancel = clock.after(socket.destroyed ? 0 : END_MS, resolve);
		await Promise.race([client.end().catch(() => {}), late]);
		cancel();
		cut();
	};
	try {
		await client.connect();
	} catch (cause) {
		await end();
		signal.throwIfAborted();
		throw unusable(config, cause);
	}
	return { client, end };
}

function withoutEnd(query: string): string {
	return query.trim().replace(/;\s*$/, '');
}

function checkColumns(config: PostgresConfig, fields: readonly FieldDef[]): void {
	const names = fields.map(({ name }) => name);
	const missing = [config.idColumn, config.textColumn, config.titleColumn ?? config.idColumn].find(
		(name) => !names.includes(name),
	);
	if (missing === undefined) return;
	throw new PlimsollError(
		'source_unusable',
		`Source ${config.name}: the query gives no column ${missing}; it gives ${names.join(', ')}.`,
	);
}

/** The address is not told: it may hold a password. */
function unusable(config: PostgresConfig, cause: unknown): PlimsollError {
	const reason =
		cause instanceof AggregateError
			? cause.errors.map(String).join('; ')
			: cause instanceof Error
				? cause.message
				: String(cause);
	const { hostname, port, pathname } = new URL(config.url);
	const where = `${hostname}${port && `:${port}`}${pathname}`;
	return new PlimsollError('source_unusable', `Source ${config.name}: the query to ${where} failed: ${reason}.`, {
		cause,
	});
}
