import { Ajv2020 } from 'ajv/dist/2020.js';
import type { FlagType, FlagValue } from '../spec/flags.ts';
import type { Problem } from '../spec/problem.ts';
import { dangling } from './dangling.ts';
import type { FlagFacts } from './flag.ts';
import type { PromptNames } from './prompt-names.ts';
import { DEFAULT_ROUTE } from './release.ts';
import { isMapping, valueAt } from './schema-node.ts';
import { problemAt } from './validation.ts';
import type { FieldPath, YamlDocument } from './yaml-document.ts';

type Report = (path: FieldPath, what: Parameters<typeof problemAt>[2]) => void;

interface FlagSurroundings {
	/** Null when it cannot be told which flags there are: another provider has them. */
	readonly flags: ReadonlyMap<string, FlagFacts> | null;
	readonly prompt: { readonly name: string; readonly version: string | null };
	readonly prompts: PromptNames;
}

/** Whether each flag that a contract uses exists, is of the right type, and says nothing that the feature lacks. */
export function checkFlagUse(contract: unknown, around: FlagSurroundings, report: Report): void {
	const routes = valueAt(contract, ['models', 'routes']);
	const names = [DEFAULT_ROUTE, ...Object.keys(isMapping(routes) ? routes : {})];
	const { prompt, prompts, flags } = around;
	const check = (path: FieldPath, type: FlagType | null, misfit: (value: FlagValue) => string | null) => {
		const name = valueAt(contract, path);
		if (typeof name !== 'string' || flags === null) return;
		const what = misuse(name, { type, misfit }, flags);
		if (what) report(path, what);
	};
	check(['flags', 'enabled'], 'boolean', () => null);
	check(['flags', 'route'], 'string', (value) =>
		names.includes(String(value)) ? null : `no route of models.routes (${names.join(', ')})`,
	);
	check(['flags', 'prompt_version'], 'string', (value) =>
		prompts.has(prompt.name, String(value)) ? null : `no version of the prompt ${prompt.name}`,
	);
	const variables = valueAt(contract, ['flags', 'variables']);
	for (const variable of Object.keys(isMapping(variables) ? variables : {})) {
		const path = ['flags', 'variables', variable];
		const declared = prompts.variables(prompt.name, prompt.version);
		const schema = declared?.[variable];
		if (declared && schema === undefined) {
			const { message, hint, expected } = dangling('variable', variable, Object.keys(declared));
			report(path, { message: `${message} in the input of the prompt ${prompt.name}`, hint, expected });
		} else check(path, null, schema === undefined ? () => null : fits(variable, schema));
	}
}

/** What is wrong with using a flag in a place; null when nothing is. */
function misuse(
	name: string,
	place: { readonly type: FlagType | null; readonly misfit: (value: FlagValue) => string | null },
	flags: ReadonlyMap<string, FlagFacts>,
): Parameters<Report>[1] | null {
	const facts = flags.get(name);
	if (!facts) return missingFlag(name, [...flags.keys()]);
	if (place.type !== null && facts.type !== place.type) {
		return { message: `the flag ${name} is a ${facts.type} flag`, expected: `a ${place.type} flag` };
	}
	for (const value of facts.values) {
		const why = place.misfit(value);
		if (why !== null) return { message: `the flag ${name} can be ${JSON.stringify(value)}, which is ${why}` };
	}
	return null;
}

/** Without a common secret each replica would draw other variants for the same user. */
export function checkFlagSecret(
	document: YamlDocument,
	uses: { readonly isShared: boolean; readonly draws: boolean; readonly hasSecret: boolean },
): Problem[] {
	if (!uses.isShared || !uses.draws || uses.hasSecret) return [];
	const message = 'replicas share it, but without flags.hmac_secret each would give the same user other variants';
	return [
		problemAt(document, ['shared_state', 'redis'], { message, hint: 'set flags.hmac_secret: {env: FLAGS_SECRET}' }),
	];
}

function missingFlag(name: string, known: readonly string[]) {
	const { message, expected, hint } = dangling('flag', name, known);
	if (known.length > 0) return { message, expected, hint };
	return { message, expected: 'one that flags.yaml defines', hint: 'add it there' };
}

function fits(variable: string, schema: unknown): (value: FlagValue) => string | null {
	const validate = new Ajv2020({ strict: false, validateFormats: false }).compile(isMapping(schema) ? schema : true);
	return (value) => (validate(value) ? null : `nothing that the prompt’s variable ${variable} takes`);
}
