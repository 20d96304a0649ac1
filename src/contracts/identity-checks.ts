import type { Problem } from '../spec/problem.ts';
import type { Resolved } from './environment.ts';
import { readPublicKeys } from './public-keys.ts';
import { isMapping, valueAt } from './schema-node.ts';
import { problemAt } from './validation.ts';
import { type FieldPath, pathKey, type YamlDocument } from './yaml-document.ts';

/** RFC 7518, 3.2: a key of at least the size of HS256's output. */
const SECRET_CHARS_MIN = 32;

interface Checking {
	readonly document: YamlDocument;
	readonly resolved: Resolved;
}

/** What a schema cannot say about identity.jwt. No message holds a secret. */
export function checkIdentity(checking: Checking): readonly Problem[] {
	const sessions = sessionProblems(checking);
	const issuers = valueAt(checking.resolved.tree, ['identity', 'jwt']);
	if (!isMapping(issuers)) return sessions;
	const named = new Map<string, string>();
	const ofIssuers = Object.entries(issuers).flatMap(([name, raw]) => {
		const problems = issuerProblems(checking, name, raw);
		const issuer = valueAt(raw, ['issuer']);
		const other = typeof issuer === 'string' ? named.get(issuer) : undefined;
		if (typeof issuer === 'string') named.set(issuer, other ?? name);
		if (other === undefined) return problems;
		const message = `is the issuer of ${other} too; a token could not tell which of them is meant`;
		return [...problems, problemAt(checking.document, ['identity', 'jwt', name, 'issuer'], { message })];
	});
	return [...sessions, ...ofIssuers];
}

function sessionProblems({ document, resolved }: Checking): Problem[] {
	const path = ['identity', 'session_secret'];
	const secret = valueAt(resolved.tree, path);
	if (typeof secret !== 'string') return [];
	if (resolved.references.get(pathKey(path))?.state !== 'set') {
		const hint = 'take it out of the file, and out of git';
		const message = 'holds the secret itself';
		return [problemAt(document, path, { message, expected: '{env: NAME} or {file: path}', hint })];
	}
	if (secret.length >= SECRET_CHARS_MIN) return [];
	const expected = `at least ${SECRET_CHARS_MIN} random characters`;
	return [problemAt(document, path, { message: 'is too short to keep', expected })];
}

/** A secret that is written out, or that could be guessed. No message holds it. */
export function secretProblems({ document, resolved }: Checking, path: FieldPath): Problem[] {
	const secret = valueAt(resolved.tree, path);
	if (typeof secret !== 'string') return [];
	if (resolved.references.get(pathKey(path))?.state !== 'set') {
		const hint = 'take it out of the file, and out of git';
		const what = { message: 'holds the secret itself', expected: '{env: NAME} or {file: path}', hint };
		return [problemAt(document, path, what)];
	}
	if (secret.length >= SECRET_CHARS_MIN) return [];
	const expected = `at least ${SECRET_CHARS_MIN} random characters`;
	return [problemAt(document, path, { message: 'is too short to keep', expected })];
}

function issuerProblems({ document, resolved }: Checking, name: string, raw: unknown): Problem[] {
	const path = ['identity', 'jwt', name];
	const problems: Problem[] = [];
	const report = (field: string, what: { message: string; expected?: string; hint?: string }) => {
		problems.push(problemAt(document, [...path, field], what));
	};
	const isReference = (field: string) => resolved.references.get(pathKey([...path, field]))?.state === 'set';

	const url = valueAt(raw, ['jwks_url']);
	if (typeof url === 'string' && !isSafe(url)) {
		report('jwks_url', {
			message: 'is not an https address without credentials',
			expected: 'an https address; http only to this machine itself',
		});
	}
	problems.push(...secretProblems({ document, resolved }, [...path, 'hmac_secret']));
	const keys = valueAt(raw, ['public_keys']);
	if (typeof keys === 'string') {
		const read = readPublicKeys(keys);
		if (!isReference('public_keys')) {
			report('public_keys', { message: 'holds the keys themselves', expected: '{file: path} or {env: NAME}' });
		} else if (typeof read === 'string') report('public_keys', { message: read });
	}
	return problems;
}

/** Whoever can change the answer on its way can sign tokens, so that plain http is for this machine alone. */
function isSafe(text: string): boolean {
	const url = URL.canParse(text) ? new URL(text) : null;
	if (url === null || url.username !== '' || url.password !== '') return false;
	return (
		url.protocol === 'https:' || (url.protocol === 'http:' && /^(localhost|127\.0\.0\.1|\[::1\])$/.test(url.hostname))
	);
}
