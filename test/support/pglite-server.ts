import { PGlite } from '@electric-sql/pglite';
import { pg_textsearch } from '@electric-sql/pglite-pg_textsearch';
import { vector } from '@electric-sql/pglite-pgvector';
import { PGLiteSocketServer } from '@electric-sql/pglite-socket';

export interface PostgresServer {
	readonly url: string;
	/** Runs statements past the socket, as an administrator would. */
	exec(sql: string): Promise<void>;
	/** Ends every connection and listens no more. */
	disconnect(): Promise<void>;
	end(): Promise<void>;
}

/** A real PostgreSQL (compiled to WebAssembly, in this process) with pgvector and pg_textsearch, behind a socket on a free port. */
export async function startPostgres(): Promise<PostgresServer> {
	const database = await PGlite.create({ extensions: { vector, pg_textsearch } });
	const server = new PGLiteSocketServer({ db: database, host: '127.0.0.1', port: 0, maxConnections: 64 });
	await server.start();
	return {
		url: `postgres://postgres@${server.getServerConn()}/postgres`,
		exec: async (sql) => {
			await database.exec(sql);
		},
		disconnect: () => server.stop(),
		async end() {
			await server.stop();
			await database.close();
		},
	};
}
