import { Ajv2020 } from 'ajv/dist/2020.js';
import { nearest } from '../base/nearest.ts';
import { isMapping, memberOf } from '../contracts/schema-node.ts';
import { fileProblem, type SourceFile } from '../contracts/source-file.ts';
import { type FieldPath, parseYaml, type YamlDocument } from '../contracts/yaml-document.ts';
import type { Problem } from '../spec/problem.ts';
import { inputJsonSchema, type JsonSchema } from './picoschema.ts';
import { RESERVED_NAMES } from './shape.ts';
import { isVersion } from './version.ts';

/** What stands between the two `---` lines of a prompt file, and the template after them. */
export interface FrontMatter {
	/** Null when missing or not a version; there is a problem then. */
	readonly version: string | null;
	readonly owner: string;
	readonly inputSchema: JsonSchema | null;
	readonly defaults: Readonly<Record<string, unknown>>;
	readonly template: string;
	/** 1-based line of the file at which the template starts. */
	readonly templateLine: number;
}

const KEYS = ['plimsoll.version', 'plimsoll.owner', 'plimsoll.changelog', 'name', 'description', 'input'];

/** Keys that Dotprompt defines and that would have no effect here: refused, so that nobody relies on them. */
const UNHONOURED: Readonly<Record<string, string>> = {
	model: 'models.route of the contract chooses the model',
	config: 'models.parameters of the contract sets the parameters',
	output: 'guards.output_schema of the contract checks the answer',
	tools: 'prompts cannot call tools',
	toolDefs: 'prompts cannot call tools',
	version: 'write plimsoll.version',
	variant: 'a label in the file name tells two versions of a prompt apart, as in answer.next.prompt',
	ext: 'write extension keys with dots, as in plimsoll.owner',
	raw: 'leave it out',
	metadata: 'leave it out',
	plimsoll: 'write plimsoll.version, plimsoll.owner and plimsoll.changelog as keys with a dot',
};

const OPEN = /^---[ \t]*(?:\r\n|\n)/;
const CLOSE = /(?:^|\n)---[ \t]*(?:\r?\n|$)/;
const NAME = /^[A-Za-z][A-Za-z0-9_]*$/;

/** Reads the head of a prompt file strictly, reporting everything that is wrong with it. */
export function parseFrontMatter(
	{ file, text }: Pick<SourceFile, 'file' | 'text'>,
	promptName: string,
	problems: Problem[],
): FrontMatter | null {
	const opening = OPEN.exec(text);
	const closing = opening && CLOSE.exec(text.slice(opening[0].length));
	if (!opening || !closing) {
		const message = opening ? 'the front matter has no closing line ---' : 'has no front matter';
		problems.push({
			...fileProblem(
				file,
				message,
				'start the file with a --- line, keys such as plimsoll.version, and another --- line',
			),
			line: 1,
			column: 1,
		});
		return null;
	}
	const head = text.slice(opening[0].length, opening[0].length + closing.index);
	const rest = text.slice(opening[0].length + closing.index + closing[0].length);
	// The opening line stays as an empty one, so that places in the YAML are places in the file.
	const yaml = parseYaml({ file, text: `\n${head}` });
	problems.push(...yaml.problems);
	const reader = new HeadReader(yaml, promptName, problems);
	const templateStart = text.length - rest.trimStart().length;
	return {
		...reader.read(),
		template: rest.trim(),
		templateLine: text.slice(0, templateStart).split('\n').length,
	};
}

type Head = Pick<FrontMatter, 'version' | 'owner' | 'inputSchema' | 'defaults'>;

class HeadReader {
	readonly #yaml: YamlDocument;
	readonly #promptName: string;
	readonly #problems: Problem[];

	constructor(yaml: YamlDocument, promptName: string, problems: Problem[]) {
		this.#yaml = yaml;
		this.#promptName = promptName;
		this.#problems = problems;
	}

	read(): Head {
		if (!this.#yaml.readable) return { version: null, owner: '', inputSchema: null, defaults: {} };
		this.#refuseUnknownKeys();
		const name = this.#value('name');
		if (name !== undefined && name !== this.#promptName) {
			this.#report(['name'], `is not the name of the file, which is ${this.#promptName}`, { hint: 'leave it out' });
		}
		const description = this.#value('description');
		if (description !== undefined && typeof description !== 'string') {
			this.#report(['description'], 'is not text', { expected: 'text' });
		}
		const version = this.#version();
		this.#checkChangelog(version);
		const inputSchema = this.#inputSchema();
		return { version, owner: this.#owner(), inputSchema, defaults: this.#defaults(inputSchema) };
	}

	#refuseUnknownKeys(): void {
		for (const key of Object.keys(isMapping(this.#yaml.value) ? this.#yaml.value : {})) {
			if (KEYS.includes(key)) continue;
			const instead = Object.hasOwn(UNHONOURED, key) ? UNHONOURED[key] : undefined;
			const close = nearest(key, KEYS);
			const hint = instead ?? (close ? `did you mean ${close}?` : `the keys are ${KEYS.join(', ')}`);
			this.#report([key], instead ? 'has no effect in a prompt file' : 'is not a key of a prompt file', {
				hint,
				key: true,
			});
		}
	}

	#version(): string | null {
		const version = this.#value('plimsoll.version');
		if (typeof version === 'string' && isVersion(version)) return version;
		this.#report(['plimsoll.version'], version === undefined ? 'is missing' : 'is not a semantic version', {
			expected: 'a version such as 1.0.0',
		});
		return null;
	}

	#owner(): string {
		const owner = this.#value('plimsoll.owner');
		if (typeof owner === 'string' && owner.trim() !== '') return owner;
		this.#report(['plimsoll.owner'], owner === undefined ? 'is missing' : 'is not the name of an owner', {
			expected: 'the team or person who answers for the prompt',
		});
		return '';
	}

	/** A mapping of versions to texts, or a list of such mappings. */
	#checkChangelog(version: string | null): void {
		const field = 'plimsoll.changelog';
		const changelog = this.#value(field);
		if (changelog === undefined) {
			this.#report([field], 'is missing', { expected: `a line such as ${version ?? '1.0.0'}: what changed` });
			return;
		}
		const parts = Array.isArray(changelog) ? changelog : [changelog];
		const seen = new Set<string>();
		for (const [index, part] of parts.entries()) {
			const path = Array.isArray(changelog) ? [field, index] : [field];
			if (!isMapping(part)) {
				this.#report(path, 'is not a changelog', { expected: 'lines of the form 1.0.0: what changed' });
				return;
			}
			for (const [key, entry] of Object.entries(part)) {
				if (!isVersion(key)) this.#report([...path, key], 'is not a semantic version', { key: true });
				if (typeof entry !== 'string' || entry.trim() === '') {
					this.#report([...path, key], 'does not say what changed', { expected: 'text' });
				}
				seen.add(key);
			}
		}
		if (version !== null && !seen.has(version)) {
			this.#report([field], `has no entry for the current version ${version}`, {
				hint: `add ${version}: what changed`,
			});
		}
	}

	#inputSchema(): JsonSchema | null {
		const input = this.#value('input');
		if (input === undefined) return null;
		if (!isMapping(input)) {
			this.#report(['input'], 'is not a mapping', { expected: 'a mapping with the keys schema, default' });
			return null;
		}
		for (const key of Object.keys(input)) {
			if (key === 'schema' || key === 'default') continue;
			const close = nearest(key, ['schema', 'default']);
			this.#report(['input', key], 'is not a key of input', {
				hint: close ? `did you mean ${close}?` : 'the keys are schema, default',
				key: true,
			});
		}
		if (!Object.hasOwn(input, 'schema')) return null;
		const before = this.#problems.length;
		const schema = inputJsonSchema(input.schema, (path, message, expected) => {
			this.#report(['input', 'schema', ...path], message, { expected });
		});
		if (schema === null || this.#problems.length > before) return null;
		return this.#usable(schema) ? schema : null;
	}

	#usable(schema: JsonSchema): boolean {
		try {
			new Ajv2020({ strict: false, validateFormats: false }).compile(schema);
		} catch (error) {
			const reason = error instanceof Error ? error.message : String(error);
			this.#report(['input', 'schema'], `is not a valid JSON Schema: ${reason}`, {
				expected: 'Picoschema or JSON Schema',
			});
			return false;
		}
		let usable = true;
		for (const name of Object.keys(isMapping(schema.properties) ? schema.properties : {})) {
			const path = ['input', 'schema', name];
			if (RESERVED_NAMES.has(name)) {
				this.#report(path, `${name} is built in and cannot be declared`, { hint: 'choose another name', key: true });
				usable = false;
			} else if (!NAME.test(name)) {
				this.#report(path, `${name} cannot be written in a template`, {
					expected: 'a name of letters, digits and _',
					key: true,
				});
				usable = false;
			}
		}
		return usable;
	}

	#defaults(schema: JsonSchema | null): Readonly<Record<string, unknown>> {
		const defaults = memberOf(this.#value('input'), 'default');
		if (defaults === undefined) return {};
		if (!isMapping(defaults)) {
			this.#report(['input', 'default'], 'is not a mapping', { expected: 'a mapping of variable names to values' });
			return {};
		}
		const properties = isMapping(schema?.properties) ? schema.properties : {};
		for (const [name, value] of Object.entries(defaults)) {
			const path = ['input', 'default', name];
			if (!Object.hasOwn(properties, name)) {
				const close = nearest(name, Object.keys(properties));
				const hint = close ? `did you mean ${close}?` : 'declare it under input.schema';
				this.#report(path, 'is not a declared variable', { hint, key: true });
				continue;
			}
			const validate = new Ajv2020({ strict: false, validateFormats: false }).compile({ properties });
			if (!validate({ [name]: value }))
				this.#report(path, `${validate.errors?.[0]?.message ?? 'does not fit its schema'}`);
		}
		return { ...defaults };
	}

	#value(key: string): unknown {
		return memberOf(this.#yaml.value, key);
	}

	#report(path: FieldPath, message: string, more: { expected?: string; hint?: string; key?: boolean } = {}): void {
		const place = more.key ? this.#yaml.keyPlace(path) : this.#yaml.valuePlace(path);
		this.#problems.push({
			file: this.#yaml.file,
			// The front matter is the file's head: what is missing from it is reported at its first line.
			...place,
			field: path.map(String).join('.'),
			message,
			expected: more.expected ?? null,
			hint: more.hint ?? null,
		});
	}
}
