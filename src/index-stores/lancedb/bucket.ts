import type { Connection } from '@lancedb/lancedb';
import type { ObjectStorage } from '../../contracts/index-store.ts';
import type { Datasets } from './datasets.ts';

/** Of one request that failed in passing; the library's own default would go on for minutes. */
const RETRIES_MAX = 3;

/** Datasets below a prefix of a bucket. A commit is a conditional PUT, so that of two writers one is refused. */
export class BucketDatasets implements Datasets {
	readonly uri: string;
	readonly options: Readonly<Record<string, string>>;

	constructor(storage: ObjectStorage) {
		this.uri = storage.uri;
		this.options = optionsOf(storage);
	}

	/** A bucket is made by whoever owns it. */
	async prepare(): Promise<void> {}

	drop(connection: Connection, table: string): Promise<void> {
		return connection.dropTable(table);
	}

	/** Objects have no names that could be changed: what is damaged goes. Versioning of the bucket keeps it where that is wanted. */
	async setAside(connection: Connection, table: string): Promise<null> {
		const names = await connection.tableNames({ startAfter: '', limit: 100_000 });
		if (names.includes(table)) await connection.dropTable(table);
		return null;
	}
}

function optionsOf(storage: ObjectStorage): Record<string, string> {
	const seconds = Math.max(1, Math.round(storage.timeoutMs / 1_000));
	const options: Record<string, string> = {
		region: storage.region,
		timeout: `${seconds}s`,
		connect_timeout: `${Math.min(5, seconds)}s`,
		client_max_retries: String(RETRIES_MAX),
		client_retry_timeout: String(seconds),
	};
	if (storage.endpoint !== null) {
		options.endpoint = storage.endpoint;
		options.allow_http = String(storage.endpoint.startsWith('http:'));
	}
	if (storage.accessKeyId !== null) options.aws_access_key_id = storage.accessKeyId;
	if (storage.secretAccessKey !== null) options.aws_secret_access_key = storage.secretAccessKey;
	if (storage.sessionToken !== null) options.aws_session_token = storage.sessionToken;
	return options;
}
