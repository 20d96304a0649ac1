import { isMetadataHost, isPrivateHost } from '../base/private-address.ts';
import type { Problem } from '../spec/problem.ts';
import type { Resolved } from './environment.ts';
import { isMapping, valueAt } from './schema-node.ts';
import { problemAt } from './validation.ts';
import { pathKey, type YamlDocument } from './yaml-document.ts';

interface Checking {
	readonly document: YamlDocument;
	readonly resolved: Resolved;
}

/** Addresses of a source: which field has one or several, and which schemes they may have. */
interface Address {
	readonly field: string;
	readonly schemes: RegExp;
	readonly example: string;
}

const ADDRESSES: Readonly<Record<string, Address>> = {
	postgres: { field: 'url', schemes: /^postgres(ql)?:$/, example: 'postgres://reader@db.internal/shop' },
	sitemap: { field: 'urls', schemes: /^https?:$/, example: 'https://docs.example.com/sitemap.xml' },
	s3: { field: 'endpoint', schemes: /^https?:$/, example: 'https://s3.eu-central-1.amazonaws.com' },
};
const SECRETS = ['secret_access_key', 'session_token', 'authorization'];

/** What a schema cannot say about the sources of a collection. */
export function sourceProblems(checking: Checking, collection: string, raw: unknown): Problem[] {
	const sources = valueAt(raw, ['sources']);
	if (!isMapping(sources)) return [];
	return Object.entries(sources).flatMap(([name, source]) =>
		isMapping(source) ? problemsOf(checking, ['collections', collection, 'sources', name], source) : [],
	);
}

function problemsOf(
	{ document, resolved }: Checking,
	path: readonly string[],
	raw: Readonly<Record<string, unknown>>,
): Problem[] {
	const problems: Problem[] = [];
	const stateOf = (field: string) => resolved.references.get(pathKey([...path, field]))?.state;
	for (const field of SECRETS) {
		if (typeof raw[field] !== 'string' || stateOf(field) === 'set') continue;
		const hint = 'take it out of the file, and out of git';
		const what = { message: 'holds the secret itself', expected: '{env: NAME} or {file: path}', hint };
		problems.push(problemAt(document, [...path, field], what));
	}
	const address = ADDRESSES[String(raw.kind)];
	if (!address || stateOf(address.field) === 'unset') return problems;
	const isSet = stateOf(address.field) === 'set';
	const at = [...path, address.field];
	const written = raw[address.field];
	const reach = raw.kind !== 'sitemap' ? 'any' : raw.private_addresses === 'allow' ? 'private' : 'public';
	const about = { address, isSet, reach } as const;
	if (!Array.isArray(written)) return [...problems, ...addressProblems(document, at, written, about)];
	return [...problems, ...written.flatMap((url, index) => addressProblems(document, [...at, index], url, about))];
}

function addressProblems(
	document: YamlDocument,
	at: readonly (string | number)[],
	url: unknown,
	{ address, isSet, reach }: { address: Address; isSet: boolean; reach: 'any' | 'private' | 'public' },
): Problem[] {
	const problems: Problem[] = [];
	if (typeof url !== 'string') return problems;
	const parsed = URL.parse(url);
	const isDatabase = address === ADDRESSES.postgres;
	// It may hold a password, in whatever form it is written: it is never shown.
	if (!parsed || !address.schemes.test(parsed.protocol) || parsed.hostname === '') {
		problems.push(
			problemAt(document, at, { message: 'is no such address', expected: `an address such as ${address.example}` }),
		);
	} else if (parsed.password && !(isDatabase && isSet)) {
		const hint = isDatabase ? 'write {env: NAME}' : 'take it out of the address';
		problems.push(problemAt(document, at, { message: 'holds a password', hint }));
	} else if (reach !== 'any' && isMetadataHost(parsed.hostname)) {
		const message = `${parsed.hostname} is link-local: where a cloud keeps a machine’s secrets`;
		problems.push(problemAt(document, at, { message, expected: 'the address of a web site' }));
	} else if (reach === 'public' && isPrivateHost(parsed.hostname)) {
		// No run would be let to it. Where a name leads is seen when it connects.
		const message = `${parsed.hostname} is of this machine or a private network`;
		problems.push(problemAt(document, at, { message, hint: 'write private_addresses: allow if that is meant' }));
	}
	return problems;
}
