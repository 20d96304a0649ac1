import type { Problem } from '../spec/problem.ts';
import type { Resolved } from './environment.ts';
import { valueAt } from './schema-node.ts';
import { problemAt } from './validation.ts';
import { pathKey, type YamlDocument } from './yaml-document.ts';

interface Checking {
	readonly document: YamlDocument;
	readonly resolved: Resolved;
}

/** What the schema cannot say about `index_store`. No value of it is printed that may hold a secret. */
export function indexStoreProblems(checking: Checking): Problem[] {
	const kind = valueAt(checking.resolved.tree, ['index_store', 'kind']);
	return kind === 'postgres' ? urlProblems(checking) : storageProblems(checking);
}

function storageProblems({ document, resolved }: Checking): Problem[] {
	const problems: Problem[] = [];
	const read = (field: string) => valueAt(resolved.tree, ['index_store', field]) ?? null;
	const report = (field: string, what: { message: string; expected?: string; hint?: string }) => {
		problems.push(problemAt(document, ['index_store', field], what));
	};
	for (const field of ['secret_access_key', 'session_token']) {
		if (typeof read(field) !== 'string') continue;
		if (resolved.references.get(pathKey(['index_store', field]))?.state === 'set') continue;
		const hint = 'take it out of the file, and out of git';
		report(field, { message: 'holds the secret itself', expected: '{env: NAME} or {file: path}', hint });
	}
	if ((read('access_key_id') === null) !== (read('secret_access_key') === null)) {
		report('access_key_id', {
			message: 'access_key_id and secret_access_key belong together',
			hint: 'give both or none',
		});
	} else if (read('session_token') !== null && read('access_key_id') === null) {
		report('session_token', {
			message: 'belongs to an access key',
			hint: 'give access_key_id and secret_access_key too',
		});
	}
	const unused = ['region', 'endpoint', 'access_key_id'].filter((field) => read(field) !== null);
	if (read('uri') === null && typeof unused[0] === 'string') {
		report(unused[0], { message: 'has no meaning without uri', hint: 'add uri: s3://bucket/folder, or leave it out' });
	}
	return problems;
}

function urlProblems({ document, resolved }: Checking): Problem[] {
	const path = ['index_store', 'url'];
	const url = valueAt(resolved.tree, path);
	if (typeof url !== 'string') return [];
	const reference = resolved.references.get(pathKey(path));
	const expected = 'a postgres address such as postgres://user@host/database';
	const parsed = URL.parse(url);
	if (parsed === null || !/^postgres(ql)?:$/.test(parsed.protocol)) {
		const from = reference?.state === 'set' ? `the value of ${reference.name}` : 'a text that is none';
		return [problemAt(document, path, { message: `found ${from}`, expected })];
	}
	if (parsed.password === '' || reference?.state === 'set') return [];
	const hint = 'take it out of the file, and out of git';
	return [problemAt(document, path, { message: 'holds a password', expected: '{env: INDEX_DATABASE_URL}', hint })];
}
