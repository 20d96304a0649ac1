import type {
	LanguageModelV4CallOptions,
	LanguageModelV4FunctionTool,
	LanguageModelV4ToolChoice,
} from '@ai-sdk/provider';
import { isObject, type Json } from '../exchange/json.ts';
import { asksForNothing, UnsupportedError } from '../exchange/unsupported.ts';

/** What one family does with OpenAI's parameters. */
export interface ParameterRules {
	/** Under which `provider_options` are this family's; the first is the name that its package reads. */
	readonly namespaces: readonly [string, ...string[]];
	/** OpenAI's parameters that the provider has no counterpart for. */
	readonly refused: readonly string[];
	/** `response_format: {type: json_object}`, JSON without a schema. */
	readonly jsonObject: boolean;
	/** The provider's own option for `parallel_tool_calls: false`; null when it has none. */
	readonly oneToolCallAtATime: Json | null;
}

type Options = Omit<LanguageModelV4CallOptions, 'prompt'>;

const NUMBERS: Readonly<Record<string, keyof Options>> = {
	max_tokens: 'maxOutputTokens',
	max_completion_tokens: 'maxOutputTokens',
	temperature: 'temperature',
	top_p: 'topP',
	top_k: 'topK',
	presence_penalty: 'presencePenalty',
	frequency_penalty: 'frequencyPenalty',
	seed: 'seed',
};

const EFFORTS = ['none', 'minimal', 'low', 'medium', 'high', 'xhigh', 'max'] as const;

/**
 * OpenAI's parameters as a provider package takes them. Each is mapped or refused by name with UnsupportedError; one that
 * says what is so anyway (`n: 1`, null) asks for nothing. `user` names a person, and no provider learns it.
 * @param own the upstream's own `provider_options`, which those of the request override.
 */
export function callOptionsOf(parameters: Json, rules: ParameterRules, own: Json): Options {
	const options: Options = {};
	let vendor: Json = own;
	for (const [name, value] of Object.entries(parameters)) {
		if (asksForNothing(name, value)) continue;
		if (rules.refused.includes(name))
			throw new UnsupportedError(name, 'is a parameter that this provider does not have');
		const number = NUMBERS[name];
		if (number !== undefined) Object.assign(options, { [number]: numberOf(name, value) });
		else if (name === 'stop') options.stopSequences = stopOf(value);
		else if (name === 'tools') options.tools = toolsOf(value);
		else if (name === 'tool_choice') options.toolChoice = toolChoiceOf(value);
		else if (name === 'response_format') Object.assign(options, responseFormatOf(value, rules));
		else if (name === 'reasoning_effort') options.reasoning = effortOf(value);
		else if (name === 'parallel_tool_calls') vendor = { ...vendor, ...oneAtATime(value, rules) };
		else if (name === 'provider_options') vendor = { ...vendor, ...vendorOptions(value, rules) };
		else throw new UnsupportedError(name, 'is a parameter that this provider does not have');
	}
	if (Object.keys(vendor).length === 0) return options;
	return { ...options, providerOptions: { [rules.namespaces[0]]: vendor } as NonNullable<Options['providerOptions']> };
}

function numberOf(name: string, value: unknown): number {
	if (typeof value === 'number') return value;
	throw new UnsupportedError(name, 'must be a number');
}

function stopOf(value: unknown): string[] {
	const list: readonly unknown[] = Array.isArray(value) ? value : [value];
	return list.map((one) => {
		if (typeof one !== 'string') throw new UnsupportedError('stop', 'must be text or a list of texts');
		return one;
	});
}

function effortOf(value: unknown): NonNullable<Options['reasoning']> {
	const effort = EFFORTS.find((known) => known === value);
	if (effort === undefined) throw new UnsupportedError('reasoning_effort', `must be one of ${EFFORTS.join(', ')}`);
	return effort;
}

function toolsOf(value: unknown): LanguageModelV4FunctionTool[] {
	if (!Array.isArray(value)) throw new UnsupportedError('tools', 'must be a list');
	return value.map((tool: unknown, index) => {
		const at = `tools[${index}]`;
		if (!isObject(tool) || tool.type !== 'function' || !isObject(tool.function)) {
			throw new UnsupportedError(at, 'must be a function: this provider is given no other tools');
		}
		const { name, description, parameters, strict } = tool.function;
		if (typeof name !== 'string') throw new UnsupportedError(`${at}.function.name`, 'must be text');
		return {
			type: 'function',
			name,
			inputSchema: (isObject(parameters) ? parameters : NO_PARAMETERS) as LanguageModelV4FunctionTool['inputSchema'],
			...(typeof description === 'string' ? { description } : {}),
			...(typeof strict === 'boolean' ? { strict } : {}),
		};
	});
}

/** A function that OpenAI is told no parameters of takes none. */
const NO_PARAMETERS = { type: 'object', properties: {} };

function toolChoiceOf(value: unknown): LanguageModelV4ToolChoice {
	if (value === 'auto' || value === 'none' || value === 'required') return { type: value };
	const chosen = isObject(value) && isObject(value.function) ? value.function.name : null;
	if (typeof chosen === 'string') return { type: 'tool', toolName: chosen };
	throw new UnsupportedError('tool_choice', 'must be auto, none, required or a function');
}

function responseFormatOf(value: unknown, { jsonObject }: ParameterRules): Pick<Options, 'responseFormat'> {
	const type = isObject(value) ? value.type : null;
	if (type === 'text') return {};
	if (type === 'json_object') {
		if (jsonObject) return { responseFormat: { type: 'json' } };
		throw new UnsupportedError('response_format', 'must be a json_schema: this provider makes JSON only from a schema');
	}
	const format = isObject(value) && type === 'json_schema' ? value.json_schema : null;
	if (!isObject(format) || !isObject(format.schema)) {
		throw new UnsupportedError('response_format', 'must be text, json_object or a json_schema with its schema');
	}
	const { schema, name, description } = format;
	return {
		responseFormat: {
			type: 'json',
			schema: schema as LanguageModelV4FunctionTool['inputSchema'],
			...(typeof name === 'string' ? { name } : {}),
			...(typeof description === 'string' ? { description } : {}),
		},
	};
}

function oneAtATime(value: unknown, { oneToolCallAtATime }: ParameterRules): Json {
	if (value === false && oneToolCallAtATime !== null) return oneToolCallAtATime;
	throw new UnsupportedError('parallel_tool_calls', 'cannot be turned off at this provider');
}

/** What a vendor is told beyond the common parameters; the options of other vendors on a route are theirs. */
function vendorOptions(value: unknown, { namespaces }: ParameterRules): Json {
	if (!isObject(value))
		throw new UnsupportedError('provider_options', 'must be a mapping of providers to their options');
	return Object.assign(
		{},
		...namespaces.toReversed().map((name) => {
			const mine = value[name] ?? {};
			if (!isObject(mine)) throw new UnsupportedError(`provider_options.${name}`, 'must be a mapping');
			return mine;
		}),
	);
}
