import { membersOf } from './members.ts';

/** A tool call of OpenAI's, whole or as a piece of a stream. */
interface FunctionCall {
	/** Its place among the calls of an answer; null where it does not say. */
	readonly index: number | null;
	/** Empty in all pieces but the first. */
	readonly id: string;
	readonly name: string;
	/** JSON as the model wrote it, or a piece of it. */
	readonly args: string;
	/** What its provider wants back with it; null: nothing. */
	readonly extra: Readonly<Record<string, unknown>> | null;
}

/** Providers write calls in many ways: what is missing is empty. */
export function functionCall(call: unknown): FunctionCall {
	const { index, id, function: inner, extra_content: extra } = membersOf(call);
	const { name, arguments: args } = membersOf(inner);
	return {
		index: typeof index === 'number' ? index : null,
		id: textOf(id),
		name: textOf(name),
		args: typeof args === 'object' && args !== null ? JSON.stringify(args) : textOf(args),
		extra: typeof extra === 'object' && extra !== null ? membersOf(extra) : null,
	};
}

function textOf(value: unknown): string {
	return typeof value === 'string' ? value : '';
}
