import { Pool, type PoolClient, type QueryConfig } from 'pg';
import type { PostgresPlace } from '../../contracts/index-store.ts';
import { PlimsollError } from '../../spec/errors.ts';

/** Statements that wait for a connection; what comes beyond them is refused. */
const WAITING_MAX = 1_000;
/** A backstop on the server: callers give up long before, and their connections with them. */
const STATEMENT_TIMEOUT_MS = 120_000;
/** A drop of what a reader still uses waits for so long, then for the next ingestion. */
const LOCK_TIMEOUT_MS = 5_000;

/**
 * Of approximate search: candidates that pgvector looks at, and how far it goes on when a filter refuses them.
 * The library's own 40 would cap every answer at 40.
 */
const SESSION = `
	SET statement_timeout = ${STATEMENT_TIMEOUT_MS};
	SET hnsw.ef_search = 200;
	SET hnsw.iterative_scan = strict_order;
	SET hnsw.max_scan_tuples = 100000;
	SET hnsw.scan_mem_multiplier = 4`;

/** The driver takes a time-out for each statement, which its types do not know. */
interface TimedStatement extends QueryConfig {
	readonly query_timeout: number;
}

export type Row = Readonly<Record<string, unknown>>;
export type Query = (sql: string, values?: readonly unknown[]) => Promise<Row[]>;

/** A bounded pool of connections. Throws what the driver throws. */
export class Database {
	readonly schema: string;
	readonly #pool: Pool;
	readonly #buildTimeoutMs: number;
	#ready = false;

	constructor(place: PostgresPlace) {
		this.schema = place.schema;
		this.#buildTimeoutMs = place.buildTimeoutMs;
		this.#pool = new Pool({
			connectionString: place.url,
			max: place.connectionsMax,
			connectionTimeoutMillis: place.connectTimeoutMs,
			application_name: 'plimsoll index',
			keepAlive: true,
		});
		// A connection that breaks while it is idle is replaced by the next one that is asked for.
		this.#pool.on('error', () => {});
		this.#pool.on('connect', (client) => {
			client.on('error', () => {});
		});
	}

	/** From now on connections know pgvector's settings: its extension is there. */
	ready(): void {
		this.#ready = true;
	}

	/** One statement. A connection whose statement took too long is given up, and the server ends it by itself. */
	async query(sql: string, values: readonly unknown[], timeoutMs: number): Promise<Row[]> {
		const client = await this.#connect();
		let failure: unknown = null;
		try {
			const statement: TimedStatement = { text: sql, values: [...values], query_timeout: timeoutMs };
			return (await client.query<Row>(statement)).rows;
		} catch (cause) {
			failure = cause;
			throw cause;
		} finally {
			// An error of the server leaves the connection usable; any other does not.
			client.release(failure instanceof Error && !('severity' in failure));
		}
	}

	/** All or nothing. A kill on either side is nothing. */
	async transaction<T>(run: (query: Query) => Promise<T>): Promise<T> {
		const client = await this.#connect();
		let broken = false;
		try {
			await client.query('BEGIN');
			await client.query(
				`SET LOCAL statement_timeout = ${this.#buildTimeoutMs}; SET LOCAL lock_timeout = ${LOCK_TIMEOUT_MS}`,
			);
			const result = await run(async (sql, values = []) => (await client.query<Row>(sql, [...values])).rows);
			await client.query('COMMIT');
			return result;
		} catch (cause) {
			await client.query('ROLLBACK').catch(() => {
				broken = true;
			});
			throw cause;
		} finally {
			client.release(broken);
		}
	}

	async close(): Promise<void> {
		await this.#pool.end();
	}

	async #connect(): Promise<PoolClient> {
		if (this.#pool.waitingCount >= WAITING_MAX) {
			throw new PlimsollError('retrieval_failed', `${WAITING_MAX} searches wait for the index database already.`);
		}
		const client = await this.#pool.connect();
		if (this.#ready && !prepared.has(client)) {
			try {
				await client.query(SESSION);
			} catch (cause) {
				client.release(true);
				throw cause;
			}
			prepared.add(client);
		}
		return client;
	}
}

/** Connections that have the settings. */
const prepared = new WeakSet<PoolClient>();
