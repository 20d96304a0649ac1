import { stringify } from 'yaml';
import { expectation, type SchemaNode, withoutNull } from '../../src/contracts/schema-node.ts';
import { cell, GENERATED } from './page.ts';

type PageName = 'plimsoll.yaml' | 'contract.yaml' | 'faults.yaml' | 'flags.yaml';

const INTRODUCTIONS: Readonly<Record<PageName, { title: string; text: readonly string[] }>> = {
	'plimsoll.yaml': {
		title: 'Configuration: plimsoll.yaml',
		text: [
			'One file describes a deployment: the server, limits, the upstreams, the embedders and the collections. Every key has a',
			'safe default unless it is marked as required. An unknown key is an error that names its line and the nearest key.',
			'`plimsoll check` reports every problem of a project at once.',
			'',
			'## References to the environment',
			'',
			'Wherever a single value stands, `{env: NAME}` takes it from the environment variable NAME, and',
			'`{env: NAME, default: value}` does so with a default. An empty variable counts as unset. A secret (`api_key`,',
			'`hmac_secret`, `secret_access_key`, `session_token`, `credentials`) and an issuer’s `public_keys` can only be given as `{env: NAME}` or `{file: path}`; a secret written',
			'into the file is refused. Variables and secret files are read whenever the project is loaded: at the start and after',
			'an edit of one of its own files.',
			'',
			'An upstream with `optional: true` is left out of every route unless one of the environment variables that its',
			'`api_key` or `base_url` names is set. So one file serves a machine with a key and a machine without.',
		],
	},
	'contract.yaml': {
		title: 'The contract: contract.yaml',
		text: [
			'The first file of a feature, `features/<name>/contract.yaml`, is one page that says what the feature promises: its',
			'objective, its budget, what it retrieves, which upstreams may answer, which guards an answer must pass, and what',
			'happens when something goes wrong. Every key has a safe default unless it is marked as required. An unknown key is',
			'an error that names its line and the nearest key.',
			'',
			'A contract says the same on every machine: it cannot refer to the environment. Only `plimsoll.yaml` can.',
		],
	},
	'faults.yaml': {
		title: 'The script of a mock upstream',
		text: [
			'`plimsoll mock-upstream --script faults.yaml` reads one file that says how the double of a provider misbehaves; the',
			'[guide](../guides/test-your-failure-policies.md) says how to use it. Every key may be left out. An unknown key is an',
			'error that names its line and the nearest key.',
			'',
			'A single request can ask for a fault of its own in the header `x-mock-fault`, with the same names and keys:',
			'`x-mock-fault: cut; at_byte=100`. `x-mock-fault: none` asks for an answer without one.',
		],
	},
	'flags.yaml': {
		title: 'Flags: flags.yaml',
		text: [
			'The flags of a project stand in one file beside `plimsoll.yaml`. It may be missing, and it is not read where',
			'`flags.provider` of `plimsoll.yaml` names another source. An edit counts for the next request; a broken one is refused',
			'and the last good file serves on. [Flags](../concepts/flags.md) tells what they are for.',
		],
	},
};

interface Row {
	readonly key: string;
	readonly node: SchemaNode;
	readonly required: boolean;
}

interface Section {
	readonly path: string;
	readonly description: string;
	readonly rows: readonly Row[];
}

/** A reference page: every key with its type, unit, default and meaning, and a complete example. */
export function referencePage(root: SchemaNode, name: PageName): string {
	const { title, text } = INTRODUCTIONS[name];
	const lines = [`# ${title}`, '', GENERATED, '', ...text, ''];
	const told = new Set<string>();
	for (const section of sectionsOf(root)) {
		// Variants share some of their sections.
		if (told.has(section.path)) continue;
		told.add(section.path);
		if (section.path) lines.push(`## ${section.path}`, '', section.description, '');
		else lines.push('## Top level', '');
		lines.push('| key | takes | default | what it does |', '|---|---|---|---|', ...section.rows.map(row), '');
	}
	const example = stringify(exampleOf(root), { lineWidth: 100, flowCollectionPadding: false }).trimEnd();
	lines.push('## A complete example', '', 'Every key with its default, or with an example where it has none.', '');
	lines.push('```yaml', example, '```', '');
	return lines.join('\n');
}

/** A valid file that names every key of `root` with its default, or an example where it has none. */
export function exampleOf(root: SchemaNode): unknown {
	const node = withoutNull(root);
	if (!isEmpty(root.default)) return root.default;
	if (node.examples && node.examples.length > 0) return node.examples[0];
	const { additionalProperties: entry, 'x-names': names } = node;
	if (names && typeof entry === 'object') {
		return Object.fromEntries(names.map((name, index) => [name, exampleOf(entry.oneOf?.[index] ?? entry)]));
	}
	if (node.properties) {
		const members = Object.entries(node.properties).map(([key, child]) => [key, exampleOf(child)]);
		return Object.fromEntries(members.filter(([, value]) => value !== undefined));
	}
	return node.const ?? root.default;
}

function isEmpty(value: unknown): boolean {
	if (value === undefined || value === null || value === '') return true;
	return typeof value === 'object' && Object.keys(value).length === 0;
}

function row({ key, node, required }: Row): string {
	const takes = cell(expectation(node['x-expected'] ? node : brief(node)));
	const inner = withoutNull(node);
	return `| \`${key}\` | ${takes} | ${required ? requirement(node) : defaultOf(node)} | ${cell(inner.description ?? '')}${unionNote(inner)} |`;
}

function requirement(node: SchemaNode): string {
	return node['x-preset'] ? '**required** without a `preset`' : '**required**';
}

/** A mapping has a section of its own, so its keys are not listed in the table of its parent. */
function brief(node: SchemaNode): SchemaNode {
	const inner = withoutNull(node);
	if (inner.properties || inner.oneOf || inner.additionalProperties) return { 'x-expected': 'a mapping, see below' };
	return node;
}

function unionNote(node: SchemaNode): string {
	const names = node.oneOf?.flatMap((option) => discriminatorOf(option)?.value ?? []) ?? [];
	return names.length > 0 ? ` One of ${names.map((name) => `\`${name}\``).join(', ')}.` : '';
}

function defaultOf(node: SchemaNode): string {
	if (node['x-default']) return cell(node['x-default']);
	if (node.default === undefined) return '';
	if (typeof node.default === 'object' && node.default !== null) {
		const text = Array.isArray(node.default) ? node.default.join(', ') : JSON.stringify(node.default);
		return node.properties && text === '{}' ? '' : `\`${text}\``;
	}
	return node.default === '' ? 'empty' : `\`${String(node.default)}\``;
}

function* sectionsOf(node: SchemaNode, path = ''): Generator<Section> {
	const inner = withoutNull(node);
	for (const option of inner.oneOf ?? []) {
		const discriminator = discriminatorOf(option);
		if (!discriminator) continue;
		const label = `${path} (${discriminator.key}: ${discriminator.value})`;
		const description = [inner.description, option.properties?.[discriminator.key]?.description]
			.filter(Boolean)
			.join(' ');
		yield* mappingSections({ ...option, description }, { label, path });
	}
	if (inner.properties) yield* mappingSections(inner, { label: path, path });
	if (typeof inner.additionalProperties === 'object' && Object.keys(inner.additionalProperties).length > 0) {
		yield* sectionsOf(inner.additionalProperties, `${path}.<name>`);
	}
}

function* mappingSections(node: SchemaNode, names: { label: string; path: string }): Generator<Section> {
	const properties = Object.entries(node.properties ?? {});
	const rows = properties.map(([key, child]) => ({
		key,
		node: child,
		required: node.required?.includes(key) === true,
	}));
	yield { path: names.label.replace(/<name>/g, '\\<name>'), description: node.description ?? '', rows };
	for (const [key, child] of properties) {
		if (!withoutNull(child).type && !withoutNull(child).oneOf) continue;
		yield* sectionsOf(child, names.path ? `${names.path}.${key}` : key);
	}
}

function discriminatorOf(option: SchemaNode): { key: string; value: string } | null {
	for (const [key, child] of Object.entries(option.properties ?? {})) {
		if (child.const !== undefined) return { key, value: String(child.const) };
	}
	return null;
}
