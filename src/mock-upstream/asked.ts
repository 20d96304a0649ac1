import { isMapping } from '../contracts/schema-node.ts';

export type Json = Record<string, unknown>;

export const ROUTES = [
	'chat',
	'responses',
	'messages',
	'gemini',
	'cohere',
	'bedrock',
	'embeddings',
	'models',
	'tokens',
] as const;
/** What a request is for, by its path. */
export type RouteName = (typeof ROUTES)[number];

export interface OfferedTool {
	readonly name: string;
	/** JSON Schema of its arguments. */
	readonly schema: unknown;
}

/** What a request asks for, whichever vendor's words it uses. */
export interface Asked {
	readonly model: string;
	readonly stream: boolean;
	/** Everything that the model would read, to count it. */
	readonly input: unknown;
	/** The tools that the model may call now; none after a tool's result, or where the request forbids it. */
	readonly tools: readonly OfferedTool[];
	/** Whether it may call more than one at once. */
	readonly parallel: boolean;
	/** The schema that the text must have; `{}` for any JSON; null for prose. */
	readonly schema: unknown;
	readonly thinks: boolean;
	readonly tokensOutMax: number | null;
	/** Whether a stream reports usage: OpenAI's does so only when asked. */
	readonly usageInStream: boolean;
}

/** The request is not in the vendor's format: the double refuses it as the vendor would. */
export class AskError extends Error {
	override readonly name = 'AskError';
}

/** A body as a JSON object. Throws AskError. */
export function parseBody(body: string): Json {
	let value: unknown;
	try {
		value = JSON.parse(body);
	} catch (error) {
		throw new AskError(
			`We could not parse the JSON body of your request: ${error instanceof Error ? error.message : ''}`,
		);
	}
	if (!isMapping(value)) throw new AskError('The body of the request must be a JSON object.');
	return { ...value };
}

/** A member that the vendor requires. Throws AskError. */
export function required<T>(value: T | null | undefined, name: string): T {
	if (value === undefined || value === null) throw new AskError(`Missing required parameter: '${name}'.`);
	return value;
}

/** The model's name. Throws AskError. */
export function modelOf(body: Json): string {
	const model = required(body.model, 'model');
	if (typeof model !== 'string' || model === '') throw new AskError("Invalid type for 'model': expected a string.");
	return model;
}

/** A list that is not empty. Throws AskError. */
export function listOf(value: unknown, name: string): readonly unknown[] {
	const list = required(value, name);
	if (!Array.isArray(list)) throw new AskError(`Invalid type for '${name}': expected an array.`);
	if (list.length === 0) throw new AskError(`Invalid '${name}': expected at least one element.`);
	return list;
}

export function mappings(value: unknown): readonly Json[] {
	return Array.isArray(value) ? value.filter(isMapping).map((one) => ({ ...one })) : [];
}

export function mapping(value: unknown): Json {
	return isMapping(value) ? { ...value } : {};
}

export function text(value: unknown): string | null {
	return typeof value === 'string' && value !== '' ? value : null;
}

export function count(value: unknown): number | null {
	return typeof value === 'number' && Number.isSafeInteger(value) && value > 0 ? value : null;
}

/** The tools that a model may call, by what the request says about choosing: a name, any of them, or none. */
export function callable(tools: readonly OfferedTool[], choice: { none: boolean; name: string | null }) {
	if (choice.none) return [];
	return choice.name === null ? tools : tools.filter(({ name }) => name === choice.name);
}

/** Members that hold what a model reads; ids, roles and encoded images are none. */
const READ = new Set([
	'text',
	'content',
	'parts',
	'input',
	'output',
	'arguments',
	'thinking',
	'instructions',
	'system',
]);

/** All text of a conversation, in order. */
export function textOf(value: unknown): string {
	if (typeof value === 'string') return value;
	if (Array.isArray(value)) return value.map(textOf).join('\n');
	if (!isMapping(value)) return '';
	return Object.entries(value)
		.filter(([name]) => READ.has(name))
		.map(([, member]) => textOf(member))
		.join('\n');
}
