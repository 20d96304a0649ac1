import { expect, test } from 'vitest';
import { loadProject } from '../../src/app/load-project.ts';
import { formatProblem } from '../../src/spec/problem.ts';
import { projectFolder, VALID_PROJECT } from '../support/project-folder.ts';

const ENV = { KEY: 'very-secret', DATABASE: 'postgres://one:very-secret@database.test/search' };
const ACCESS = 'access_key_id: one, secret_access_key: {env: KEY}';

async function load(indexStore: string | null, env: Record<string, string> = ENV) {
	const yaml = `${VALID_PROJECT['plimsoll.yaml']}${indexStore === null ? '' : `index_store: ${indexStore}\n`}`;
	return loadProject(await projectFolder({ ...VALID_PROJECT, 'plimsoll.yaml': yaml }), env);
}

test('an index is in the data folder, in a bucket or in a database', async () => {
	expect((await load(null)).value?.config.indexStore).toEqual({ kind: 'lancedb', storage: null });
	const bucket = await load(`{kind: lancedb, uri: s3://a-bucket/a/b/, endpoint: "http://127.0.0.1:9", ${ACCESS}}`);
	expect(bucket.value?.config.indexStore).toEqual({
		kind: 'lancedb',
		storage: {
			uri: 's3://a-bucket/a/b',
			region: 'us-east-1',
			endpoint: 'http://127.0.0.1:9',
			accessKeyId: 'one',
			secretAccessKey: ENV.KEY,
			sessionToken: null,
			timeoutMs: 30_000,
		},
	});
	const database = await load('{kind: postgres, url: {env: DATABASE}}');
	expect(database.value?.config.indexStore).toMatchObject({ url: ENV.DATABASE, schema: 'plimsoll_index' });
});

test.each([
	[
		'a secret in the file',
		'{kind: lancedb, uri: s3://abc/x, access_key_id: a, secret_access_key: very-secret}',
		'holds the secret itself',
	],
	['a secret without its key', '{kind: lancedb, uri: s3://abc/x, secret_access_key: {env: KEY}}', 'belong together'],
	['a token without a key', '{kind: lancedb, uri: s3://abc/x, session_token: {env: KEY}}', 'belongs to an access key'],
	['settings of no bucket', '{kind: lancedb, region: eu-central-1}', 'region: has no meaning without uri'],
	['another protocol', '{kind: lancedb, uri: "gs://abc/x"}', 'expected an address such as s3://bucket/folder'],
	[
		'a way out of the folder',
		'{kind: lancedb, uri: "s3://abc/../x y"}',
		'expected an address such as s3://bucket/folder',
	],
	['a password in the file', '{kind: postgres, url: "postgres://one:very-secret@h/d"}', 'url: holds a password'],
	['an address of something else', '{kind: postgres, url: {env: KEY}}', 'expected a postgres address'],
	['a schema that is none', '{kind: postgres, url: {env: DATABASE}, schema: "x; DROP"}', 'index_store.schema'],
	['an unknown engine', '{kind: lancdb}', 'did you mean lancedb?'],
	['a key of the other engine', '{kind: postgres, url: {env: DATABASE}, region: x}', 'unknown key'],
])('refuses %s', async (_, indexStore, message) => {
	const problems = (await load(indexStore)).problems.map(formatProblem);
	expect(problems).toEqual([expect.stringContaining(message)]);
	expect(problems[0]).toMatch(/^plimsoll\.yaml:\d+:\d+: index_store/);
	expect(problems[0]).not.toContain('very-secret');
});
