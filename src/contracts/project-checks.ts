import { isMetadataHost, isPrivateHost } from '../base/private-address.ts';
import type { Problem } from '../spec/problem.ts';
import { accessProblems } from './access-checks.ts';
import { checkAdmission } from './admission-checks.ts';
import { checkAlerts } from './alert-checks.ts';
import { collectionProblems } from './collection-checks.ts';
import { dangling } from './dangling.ts';
import { type Reference, type Resolved, SECRET_FIELDS } from './environment.ts';
import { checkIdentity, secretProblems } from './identity-checks.ts';
import { indexStoreProblems } from './index-store-checks.ts';
import { LOCAL_PRESETS } from './presets.ts';
import { priceProblems } from './price.ts';
import { isMapping, valueAt } from './schema-node.ts';
import { sourceProblems } from './source-checks.ts';
import { CONTEXT_TOKENS_DEFAULT } from './upstream-schema.ts';
import { problemAt } from './validation.ts';
import { type FieldPath, pathKey, type YamlDocument } from './yaml-document.ts';

interface Checking {
	readonly document: YamlDocument;
	readonly resolved: Resolved;
	/** False for an optional upstream none of whose variables is set. */
	readonly available: ReadonlyMap<string, boolean>;
}

/**
 * What a schema cannot say about plimsoll.yaml. Works on the tree as written, so that these problems show together with
 * those of the schema; values of a wrong type are left to the schema.
 */
export function checkProject(checking: Checking): readonly Problem[] {
	const embedders = entries(checking, 'embedders').map(([name]) => name);
	return [
		...unsetReferences(checking),
		...checkIdentity(checking),
		...redisProblems(checking),
		...indexStoreProblems(checking),
		...checkAdmission({ document: checking.document, tree: checking.resolved.tree }),
		...entries(checking, 'tenants').flatMap(([name, raw]) => tenantProblems(checking, name, raw)),
		...secretProblems(checking, ['flags', 'hmac_secret']),
		...checkAlerts(checking),
		...entries(checking, 'upstreams').flatMap(([name, raw]) => upstreamProblems(checking, name, raw)),
		...entries(checking, 'embedders').flatMap(([name, raw]) => [
			...endpointProblems(checking, ['embedders', name], raw),
			...accessProblems(checking, ['embedders', name], raw),
		]),
		...aliasProblems(checking),
		...entries(checking, 'collections').flatMap(([name, raw]) => [
			...collectionProblems({ document: checking.document, embedders }, name, raw),
			...sourceProblems(checking, name, raw),
		]),
	];
}

function unsetReferences({ document, resolved, available }: Checking): Problem[] {
	const problems: Problem[] = [];
	for (const { path, kind, name, state } of resolved.references.values()) {
		if (state !== 'unset' || kind === 'file') continue;
		const [section, owner, field] = path;
		if (section === 'upstreams' && available.get(String(owner)) === false) continue;
		const optional =
			section === 'upstreams' && valueAt(resolved.tree, ['upstreams', String(owner), 'optional']) === true;
		// A local server switched on by its address needs no key.
		const family = valueAt(resolved.tree, ['upstreams', String(owner), 'family']);
		if (optional && field === 'api_key' && family === 'openai-compatible') continue;
		const hint = SECRET_FIELDS.has(String(path.at(-1))) ? `set it` : `set it, or write {env: ${name}, default: …}`;
		problems.push(problemAt(document, path, { message: `the environment variable ${name} is not set`, hint }));
	}
	return problems;
}

function upstreamProblems(checking: Checking, name: string, raw: unknown): Problem[] {
	const { document, resolved } = checking;
	const path = ['upstreams', name];
	const problems = [...endpointProblems(checking, path, raw), ...accessProblems(checking, path, raw)];
	if (valueAt(raw, ['optional']) === true && !hasReference(resolved.references, path)) {
		const hint = 'refer to one with {env: NAME}, or leave optional out';
		const message = 'an optional upstream must refer to an environment variable that switches it on';
		problems.push(problemAt(document, [...path, 'optional'], { message, hint }));
	}
	if (typeof valueAt(raw, ['api_version']) === 'string' && valueAt(raw, ['preset']) !== 'azure') {
		const what = { message: 'is something that only Azure has', hint: 'leave it out, or write preset: azure' };
		problems.push(problemAt(document, [...path, 'api_version'], what));
	}
	problems.push(...upstreamPriceProblems(checking, [...path, 'price']));
	const longest = valueAt(raw, ['tokens_out_max']);
	const context = valueAt(raw, ['context_tokens_max']) ?? CONTEXT_TOKENS_DEFAULT;
	if (typeof longest === 'number' && typeof context === 'number' && longest >= context) {
		const what = {
			message: `${longest} leaves no room for input`,
			expected: `less than context_tokens_max (${context})`,
		};
		problems.push(problemAt(document, [...path, 'tokens_out_max'], what));
	}
	return problems;
}

function upstreamPriceProblems({ document, resolved }: Checking, path: FieldPath): readonly Problem[] {
	const raw = valueAt(resolved.tree, path);
	const problems = priceProblems(document, resolved.tree, path);
	if (!isMapping(raw) || raw.free === true || raw.version !== undefined) return problems;
	const what = { message: 'is missing', hint: 'add it: the day on which you looked the price up will do' };
	return [...problems, problemAt(document, [...path, 'version'], what)];
}

function endpointProblems({ document, resolved }: Checking, path: readonly string[], raw: unknown): Problem[] {
	const problems: Problem[] = [];
	const report = (field: string, what: { message: string; expected?: string; hint?: string }) => {
		problems.push(problemAt(document, [...path, field], what));
	};
	const keyPath = [...path, 'api_key'];
	const key = valueAt(raw, ['api_key']);
	const reference = resolved.references.get(pathKey(keyPath));
	if (key !== undefined && key !== null && (reference === undefined || reference.state === 'default')) {
		const expected = '{env: NAME} or {file: path}';
		report('api_key', {
			message: 'holds the secret itself',
			expected,
			hint: 'take it out of the file, and out of git',
		});
	} else if (typeof key === 'string' && !/^[\x21-\x7e]+$/.test(key)) {
		report('api_key', {
			message: `${sourceName(reference)} holds a key with spaces, line breaks or exotic characters`,
		});
	}
	const url = valueAt(raw, ['base_url']);
	const urlReference = resolved.references.get(pathKey([...path, 'base_url']));
	if (typeof url === 'string' && urlReference?.state !== 'unset') {
		const expected = 'an http or https address such as https://api.openai.com/v1';
		const parsed = URL.canParse(url) ? new URL(url) : null;
		const from =
			urlReference?.state === 'set' ? sourceName(urlReference) : `the text ${JSON.stringify(url.slice(0, 60))}`;
		if (parsed?.username || parsed?.password) {
			report('base_url', { message: 'holds a user name or password', expected, hint: 'put the secret under api_key' });
		} else if (!parsed || !/^https?:$/.test(parsed.protocol))
			report('base_url', { message: `found ${from}`, expected });
		else if (parsed.search || parsed.hash) report('base_url', { message: 'has a query or a fragment', expected });
		else if (isMetadataHost(parsed.hostname)) {
			report('base_url', {
				message: `${parsed.hostname} is link-local: where a cloud keeps a machine’s secrets`,
				expected,
			});
		} else if (
			path[0] === 'upstreams' &&
			isVendor(raw) &&
			isPrivateHost(parsed.hostname) &&
			valueAt(raw, ['private_addresses']) !== 'allow'
		) {
			const message = `${parsed.hostname} is of this machine or a private network, and this vendor is not there`;
			report('base_url', { message, hint: 'write private_addresses: allow if that is meant' });
		}
	}
	return problems;
}

/** A vendor on the public internet, whose key is not for anybody nearer. */
function isVendor(raw: unknown): boolean {
	const preset = valueAt(raw, ['preset']);
	if (typeof preset === 'string') return !LOCAL_PRESETS.includes(preset);
	return VENDORS.has(valueAt(raw, ['family']));
}

const VENDORS: ReadonlySet<unknown> = new Set(['anthropic', 'google', 'vertex', 'bedrock', 'cohere']);

function redisProblems({ document, resolved }: Checking): Problem[] {
	const path = ['shared_state', 'redis'];
	const url = valueAt(resolved.tree, path);
	if (typeof url !== 'string') return [];
	const reference = resolved.references.get(pathKey(path));
	const expected = 'a redis or rediss address such as redis://127.0.0.1:6379';
	const parsed = URL.parse(url);
	if (parsed === null || !/^rediss?:$/.test(parsed.protocol) || parsed.hostname === '') {
		// It may hold a password, in whatever form it is written.
		const from = reference?.state === 'set' ? sourceName(reference) : 'a text that is none';
		return [problemAt(document, path, { message: `found ${from}`, expected })];
	}
	if (parsed.password === '' || reference?.state === 'set') return [];
	const hint = 'take it out of the file, and out of git';
	return [problemAt(document, path, { message: 'holds a password', expected: '{env: REDIS_URL}', hint })];
}

/** A name that could mean two things would mean one of them in silence. */
function aliasProblems(checking: Checking): Problem[] {
	const embedders = entries(checking, 'embedders');
	const known = new Map([
		...entries(checking, 'upstreams').map(([name]): [string, string] => [name, 'an upstream']),
		...embedders.map(([name]): [string, string] => [name, 'an embedder']),
	]);
	return embedders.flatMap(([name, raw]) => {
		const aliases = valueAt(raw, ['aliases']);
		if (!Array.isArray(aliases)) return [];
		return aliases.flatMap((alias: unknown, index) => {
			if (typeof alias !== 'string') return [];
			const taken = known.get(alias);
			known.set(alias, `an alias of the embedder ${name}`);
			if (taken === undefined) return [];
			const what = { message: `${alias} is the name of ${taken} already`, hint: 'choose another name' };
			return [problemAt(checking.document, ['embedders', name, 'aliases', index], what)];
		});
	});
}

function tenantProblems(checking: Checking, name: string, raw: unknown): Problem[] {
	const organisation = valueAt(raw, ['organisation']);
	const known = entries(checking, 'organisations').map(([one]) => one);
	if (typeof organisation !== 'string' || known.includes(organisation)) return [];
	const path = ['tenants', name, 'organisation'];
	return [problemAt(checking.document, path, dangling('organisation', organisation, known))];
}

/** Limits of features that no folder makes: they would never hold anything back. */
export function checkLimitedFeatures(document: YamlDocument, features: readonly string[]): readonly Problem[] {
	const tenants = document.readable ? valueAt(document.value, ['tenants']) : null;
	if (!isMapping(tenants)) return [];
	return Object.entries(tenants).flatMap(([tenant, raw]) => {
		const limited = valueAt(raw, ['features']);
		const unknown = isMapping(limited) ? Object.keys(limited).filter((name) => !features.includes(name)) : [];
		return unknown.map((name) => {
			const place = document.keyPlace(['tenants', tenant, 'features', name]);
			return {
				...problemAt(document, ['tenants', tenant, 'features', name], dangling('feature', name, features)),
				...place,
			};
		});
	});
}

function hasReference(references: ReadonlyMap<string, Reference>, path: FieldPath): boolean {
	return [...references.values()].some(
		(reference) => reference.kind === 'env' && path.every((segment, index) => reference.path[index] === segment),
	);
}

function sourceName(reference: Reference | undefined): string {
	return reference?.kind === 'file' ? `the file ${reference.name}` : `the environment variable ${reference?.name}`;
}

function entries({ resolved }: Checking, section: string): [string, unknown][] {
	const members = valueAt(resolved.tree, [section]);
	return isMapping(members) ? Object.entries(members) : [];
}
