import type { Problem } from '../spec/problem.ts';
import type { Resolved } from './environment.ts';
import { valueAt } from './schema-node.ts';
import { problemAt } from './validation.ts';
import { type FieldPath, pathKey, type YamlDocument } from './yaml-document.ts';

interface Checking {
	readonly document: YamlDocument;
	readonly resolved: Resolved;
}

type Report = (field: string, what: { message: string; expected?: string; hint?: string }) => void;

/** How an upstream enters a cloud, where there are several ways and their fields depend on each other. No message holds a secret. */
export function accessProblems({ document, resolved }: Checking, path: FieldPath, raw: unknown): Problem[] {
	const problems: Problem[] = [];
	const report: Report = (field, what) => problems.push(problemAt(document, [...path, field], what));
	// A reference that is not set has a problem of its own, and is there all the same.
	const has = (field: string) => {
		const value = valueAt(raw, [field]);
		return (value !== undefined && value !== null) || resolved.references.has(pathKey([...path, field]));
	};
	for (const field of ['secret_access_key', 'session_token', 'credentials']) {
		if (typeof valueAt(raw, [field]) !== 'string' || resolved.references.has(pathKey([...path, field]))) continue;
		const hint = 'take it out of the file, and out of git';
		report(field, { message: 'holds the secret itself', expected: '{env: NAME} or {file: path}', hint });
	}
	const family = valueAt(raw, ['family']);
	if (family === 'bedrock') bedrockProblems(has, report);
	if (family === 'vertex') vertexProblems(has, report, valueAt(raw, ['credentials']));
	return problems;
}

function bedrockProblems(has: (field: string) => boolean, report: Report): void {
	const pair = [has('access_key_id'), has('secret_access_key')];
	if (pair[0] !== pair[1]) {
		const [given, missing] = pair[0] ? ['access_key_id', 'secret_access_key'] : ['secret_access_key', 'access_key_id'];
		report(given, { message: `is there without ${missing}`, hint: `add ${missing}` });
	} else if (!pair[0] && !has('api_key')) {
		const hint = 'add api_key, or access_key_id and secret_access_key';
		report('api_key', { message: 'is missing', expected: 'a way to enter', hint });
	} else if (pair[0] && has('api_key')) {
		report('api_key', { message: 'stands beside an access key', hint: 'keep one of them' });
	}
	if (has('session_token') && !pair[0]) {
		report('session_token', {
			message: 'is there without an access key',
			hint: 'add access_key_id and secret_access_key',
		});
	}
}

function vertexProblems(has: (field: string) => boolean, report: Report, credentials: unknown): void {
	if (has('api_key') && has('credentials')) {
		report('api_key', { message: 'stands beside credentials', hint: 'keep one of them' });
	}
	if (!has('api_key') && !has('project')) {
		report('project', {
			message: 'is missing',
			expected: 'the Google Cloud project',
			hint: 'add it, or a key of express mode',
		});
	}
	if (typeof credentials === 'string' && !isServiceAccount(credentials)) {
		report('credentials', {
			message: 'is no key of a service account',
			expected: 'its JSON, with client_email and private_key',
		});
	}
}

function isServiceAccount(text: string): boolean {
	try {
		const key: unknown = JSON.parse(text);
		return ['client_email', 'private_key'].every((member) => typeof valueAt(key, [member]) === 'string');
	} catch {
		return false; // The text itself must not get into a message.
	}
}
