import * as z from 'zod';
import { integer, MILLISECONDS, text } from './fields.ts';
import type { IndexStoreConfig } from './index-store.ts';

const secret = (description: string, example: string) =>
	z
		.string()
		.meta({
			description: `${description} Never written here itself. Read at the start.`,
			'x-expected': '{env: NAME} or {file: path}',
			examples: [{ env: example }],
		})
		.nullable()
		.default(null);

const lancedb = z.strictObject({
	kind: z.literal('lancedb').meta({ description: 'LanceDB, in the data folder or on S3-compatible storage.' }),
	uri: z
		.string()
		.max(1_000)
		.regex(/^s3:\/\/[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](\/[\w.=-]+)*\/?$/)
		.meta({
			description:
				'A bucket and a folder in it; null keeps the index in the data folder. The server must refuse a conditional PUT of what exists, as S3 does: two writers would overwrite each other otherwise.',
			'x-expected': 'an address such as s3://bucket/folder',
			examples: ['s3://search/plimsoll'],
		})
		.nullable()
		.default(null),
	region: text(1, 100, { description: 'The region of the bucket.', examples: ['eu-central-1'] }).default('us-east-1'),
	endpoint: z
		.string()
		.max(1_000)
		.regex(/^https?:\/\/[^/?#@]+\/?$/)
		.meta({
			description: 'Another server than AWS. With http nothing is encrypted on the way.',
			'x-expected': 'an http or https address without a path',
			examples: ['https://storage.example.com'],
		})
		.nullable()
		.default(null),
	access_key_id: text(1, 200, {
		description: 'With `secret_access_key`; null enters as the machine does (its AWS environment, or its role).',
	})
		.nullable()
		.default(null),
	secret_access_key: secret('With `access_key_id`.', 'AWS_SECRET_ACCESS_KEY'),
	session_token: secret('With an access key that is temporary.', 'AWS_SESSION_TOKEN'),
	timeout_ms: integer(100, 600_000, {
		description: 'One request to the storage. What failed in passing is tried again for as long.',
		'x-unit': MILLISECONDS,
	}).default(30_000),
});

const postgres = z.strictObject({
	kind: z.literal('postgres').meta({
		description: 'PostgreSQL 17 or newer with the extensions vector and pg_textsearch.',
	}),
	url: z
		.string()
		.max(2_000)
		.meta({
			description: 'The database. With a password only as a reference. Read at the start.',
			'x-expected': 'a postgres address such as postgres://user@host/database',
			examples: [{ env: 'INDEX_DATABASE_URL' }],
		}),
	schema: z
		.string()
		.regex(/^[a-z][a-z0-9_]{0,40}$/)
		.meta({
			description: 'Where its tables are, and nothing else. Made when it is not there.',
			'x-expected': 'a lower-case name of letters, digits and underscores',
		})
		.default('plimsoll_index'),
	connections_max: integer(1, 1_000, {
		description: 'Connections of this process; searches beyond them wait, each for its own time-out.',
	}).default(16),
	connect_timeout_ms: integer(10, 600_000, {
		description: 'The wait for a connection.',
		'x-unit': MILLISECONDS,
	}).default(5_000),
	build_timeout_ms: integer(1_000, 86_400_000, {
		description: 'One statement of an ingestion; the longest builds an index over all chunks.',
		'x-unit': MILLISECONDS,
	}).default(3_600_000),
});

/** `index_store` of plimsoll.yaml. */
export const indexStore = z
	.discriminatedUnion('kind', [lancedb, postgres])
	.meta({
		description: 'Where index generations live. Another place is another index: `plimsoll ingest` fills it.',
		'x-default': 'LanceDB in the data folder',
	})
	.optional();

export function indexStoreOf(raw: z.output<typeof indexStore>): IndexStoreConfig {
	if (raw?.kind === 'postgres') {
		return {
			kind: 'postgres',
			url: raw.url,
			schema: raw.schema,
			connectionsMax: raw.connections_max,
			connectTimeoutMs: raw.connect_timeout_ms,
			buildTimeoutMs: raw.build_timeout_ms,
		};
	}
	if (raw === undefined || raw.uri === null) return { kind: 'lancedb', storage: null };
	return {
		kind: 'lancedb',
		storage: {
			uri: raw.uri.replace(/\/$/, ''),
			region: raw.region,
			endpoint: raw.endpoint,
			accessKeyId: raw.access_key_id,
			secretAccessKey: raw.secret_access_key,
			sessionToken: raw.session_token,
			timeoutMs: raw.timeout_ms,
		},
	};
}
