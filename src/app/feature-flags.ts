import { Ajv2020 } from 'ajv/dist/2020.js';
import type { FlagDefinition } from '../contracts/flag.ts';
import { type Contract, DEFAULT_ROUTE } from '../contracts/release.ts';
import { isMapping, valueAt } from '../contracts/schema-node.ts';
import type { FlagUse } from '../policy/flags.ts';
import type { FeatureFlags } from '../runtime/feature.ts';
import type { FlagSource, FlagValue } from '../spec/flags.ts';
import type { Model } from '../spec/model.ts';
import type { Prompt } from '../spec/prompt.ts';

interface Choices {
	readonly source: FlagSource;
	/** Of flags.yaml. */
	readonly definitions: ReadonlyMap<string, FlagDefinition>;
	readonly models: ReadonlyMap<string, Model>;
	/** As the contract names it. */
	readonly prompt: Prompt;
	readonly versions: readonly Prompt[];
}

/** What flags decide for a feature; null when its contract asks none. */
export function featureFlags(contract: Contract, choices: Choices): FeatureFlags | null {
	if (contract.flags === null) return null;
	const { source, models, prompt, versions } = choices;
	const { enabled, route, promptVersion, variables } = contract.flags;
	const named = Object.entries({ ...contract.models.routes, [DEFAULT_ROUTE]: contract.models.route });
	// A route without an upstream that is switched on cannot be followed.
	const routes = new Map(
		named
			.map(([name, upstreams]) => [name, upstreams.flatMap((upstream) => models.get(upstream) ?? [])] as const)
			.filter(([, upstreams]) => upstreams.length > 0),
	);
	const prompts = new Map(versions.map((version) => [version.version, version]));
	const uses: FlagUse[] = [];
	if (enabled !== null) uses.push({ flag: enabled, purpose: 'enabled', fallback: true, accepts: () => true });
	if (route !== null) {
		uses.push({ flag: route, purpose: 'route', fallback: DEFAULT_ROUTE, accepts: (name) => routes.has(String(name)) });
	}
	if (promptVersion !== null) {
		const accepts = (version: FlagValue) => prompts.has(String(version));
		uses.push({ flag: promptVersion, purpose: 'prompt_version', fallback: prompt.version, accepts });
	}
	for (const [variable, flag] of Object.entries(variables)) uses.push(variableUse(variable, flag, choices));
	return { source, uses, routes, prompts };
}

function variableUse(variable: string, flag: string, { prompt, definitions }: Choices): FlagUse {
	const schema = valueAt(prompt.inputSchema, ['properties', variable]);
	const validate = new Ajv2020({ strict: false, validateFormats: false }).compile(isMapping(schema) ? schema : {});
	const type = definitions.get(flag)?.type ?? valueAt(schema, ['type']);
	const fallback = type === 'boolean' ? false : type === 'number' || type === 'integer' ? 0 : '';
	return { flag, purpose: { variable }, fallback, accepts: (value) => validate(value) };
}
