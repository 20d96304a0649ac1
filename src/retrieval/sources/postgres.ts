import { Socket } from 'node:net';
import { Client, type FieldDef } from 'pg';
import { z } from 'zod';
import { PlimsollError } from '../../spec/errors.ts';
import type { OpenSource, SourceItem } from '../source-item.ts';
import type { ConfigOf, SourceAccess } from './access.ts';
import { recordItem } from './record.ts';

type PostgresConfig = ConfigOf<'postgres'>;

/** What one fetch may bring: memory is bounded whatever the query finds. */
const FETCH_ROWS_MAX = 100;
const FETCH_BYTES_MAX = 67_108_864;
/** As much of an id as can be one, and a little more. */
const ID_CHARS = 1_025;
/** Types whose values are small whatever they hold: bool, int8, int2, int4, oid, float4, float8, date, time, timestamp, timestamptz, uuid. */
const SMALL_TYPES = new Set([16, 20, 21, 23, 26, 700, 701, 1082, 1083, 1114, 1184, 2950]);
/** Types whose size is known without reading them: text, bpchar, varchar; and bytea, which is sent with two digits for a byte. */
const TEXT_TYPES = new Set([25, 1042, 1043]);
const BYTEA = 17;
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
	const fields = await withClient({ config, clock, signal }, async (client) => {
		const asked = await client.query(`select * from (\n${withoutEnd(config.query)}\n) as documents limit 0`);
		checkColumns(config, asked.fields);
		return asked.fields;
	});
	return {
		total: null,
		items: () => rowsOf({ config, clock, signal }, fields),
	};
}

interface Asking extends Pick<SourceAccess, 'clock'> {
	readonly config: PostgresConfig;
	readonly signal: AbortSignal;
}

/** A row as it is asked for: how large it is, its id where that is too much, its columns where it is not. */
const boundedRow = z.tuple([z.coerce.number(), z.string().nullable()], z.unknown());

async function* rowsOf(asking: Asking, fields: readonly FieldDef[]): AsyncGenerator<SourceItem> {
	const { config, signal } = asking;
	const names = fields.map(({ name }) => name);
	const fetchRows = Math.min(FETCH_ROWS_MAX, Math.max(1, Math.floor(FETCH_BYTES_MAX / config.rowBytesMax)));
	const { client, end } = await connected(asking);
	try {
		await client.query('begin transaction isolation level repeatable read read only');
		await client.query(`declare documents no scroll cursor for ${boundedQuery(config, fields)}`);
		const shape = {
			what: 'column',
			id: config.idColumn,
			text: config.textColumn,
			title: config.titleColumn,
			format: config.format,
		};
		for (let row = 0; ; ) {
			const { rows } = await client.query({ text: `fetch ${fetchRows} from documents`, rowMode: 'array' });
			for (const sent of rows) {
				const [bytes, largeId, ...cells] = boundedRow.parse(sent);
				const place = `row ${++row}`;
				if (bytes > config.rowBytesMax) yield tooLarge(bytes, isId(largeId) ? largeId : place, config);
				else yield recordItem(Object.fromEntries(names.map((name, at) => [name, cells[at]])), shape, place);
			}
			if (rows.length < fetchRows) return;
		}
	} catch (cause) {
		signal.throwIfAborted();
		throw cause instanceof PlimsollError ? cause : unusable(config, cause);
	} finally {
		await end();
	}
}

async function withClient<T>(asking: Asking, use: (client: Client) => Promise<T>): Promise<T> {
	const { config, signal } = asking;
	const { client, end } = await connected(asking);
	try {
		return await use(client);
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

/**
 * The query with, for each row, how many bytes it is sent in; nothing else is sent of one that has too many. Columns are
 * called by their place, since a query may give two of one name.
 */
function boundedQuery(config: PostgresConfig, fields: readonly FieldDef[]): string {
	const columns = fields.map((field, at) => ({ ...field, column: `c${at}` }));
	const sizes = columns.flatMap(({ column, dataTypeID }) => sizeOf(column, dataTypeID) ?? []);
	const id = columns.findLast(({ name }) => name === config.idColumn)?.column ?? 'null';
	const isLarge = `row_bytes > ${config.rowBytesMax}`;
	const cells = columns.map(({ column }) => `case when ${isLarge} then null else ${column} end`);
	const list = columns.map(({ column }) => column).join(', ');
	// With an offset the sizes are worked out once, and not for each column again.
	return `select row_bytes, case when ${isLarge} then left(${id}::text, ${ID_CHARS}) end, ${cells.join(', ')} from (
		select *, ${['0::bigint', ...sizes].join(' + ')} as row_bytes from (\n${withoutEnd(config.query)}\n) as documents (${list})
		offset 0) as sized`;
}

function sizeOf(column: string, type: number): string | null {
	if (SMALL_TYPES.has(type)) return null;
	if (type === BYTEA) return `coalesce(octet_length(${column})::bigint * 2, 0)`;
	return `coalesce(octet_length(${column}${TEXT_TYPES.has(type) ? '' : '::text'}), 0)`;
}

function tooLarge(bytes: number, document: string, { rowBytesMax }: PostgresConfig): SourceItem {
	return { failed: { document, reason: `${bytes} bytes, larger than row_bytes_max (${rowBytesMax} bytes)` } };
}

function isId(text: string | null): text is string {
	return text !== null && text !== '' && text.length < ID_CHARS;
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
