import { isPrivateAddress } from '../base/private-address.ts';
import type { Problem } from '../spec/problem.ts';
import type { Resolved } from './environment.ts';
import { secretProblems } from './identity-checks.ts';
import { isMapping, valueAt } from './schema-node.ts';
import { problemAt } from './validation.ts';
import { pathKey, type YamlDocument } from './yaml-document.ts';

interface Checking {
	readonly document: YamlDocument;
	readonly resolved: Resolved;
}

/** What a schema cannot say about alerts.webhooks. No message holds an address: it may be a secret. */
export function checkAlerts(checking: Checking): readonly Problem[] {
	const webhooks = valueAt(checking.resolved.tree, ['alerts', 'webhooks']);
	if (!isMapping(webhooks)) return [];
	return Object.entries(webhooks).flatMap(([name, raw]) => [
		...secretProblems(checking, ['alerts', 'webhooks', name, 'hmac_secret']),
		...urlProblems(checking, name, raw),
	]);
}

function urlProblems({ document, resolved }: Checking, name: string, raw: unknown): Problem[] {
	const path = ['alerts', 'webhooks', name, 'url'];
	const url = valueAt(raw, ['url']);
	if (typeof url !== 'string' || resolved.references.get(pathKey(path))?.state === 'unset') return [];
	const expected = 'an http or https address such as https://alerts.example.com/plimsoll';
	const parsed = URL.parse(url);
	if (parsed === null || !/^https?:$/.test(parsed.protocol)) {
		return [problemAt(document, path, { message: 'is no address that can be posted to', expected })];
	}
	if (parsed.username !== '' || parsed.password !== '') {
		const hint = 'sign deliveries with hmac_secret instead';
		return [problemAt(document, path, { message: 'holds a user name or password', expected, hint })];
	}
	const isAllowed = valueAt(raw, ['private_addresses']) === 'allow';
	if (isAllowed || !(isPrivateAddress(parsed.hostname) || /^localhost\.?$/.test(parsed.hostname))) return [];
	const hint = 'write private_addresses: allow if that is meant';
	return [problemAt(document, path, { message: 'leads to this machine or a private network', hint })];
}
