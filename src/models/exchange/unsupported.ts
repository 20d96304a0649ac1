/** A part of a request that an upstream cannot take. It is said by name, before anything is sent. */
export class UnsupportedError extends Error {
	override readonly name = 'UnsupportedError';
	readonly field: string;

	/** @param field such as `messages[2].content[0]`. */
	constructor(field: string, why: string) {
		super(`${field} ${why}`);
		this.field = field;
	}
}

/** Values that say what is so anyway, at every provider. */
const NEUTRAL: Readonly<Record<string, readonly unknown[]>> = {
	n: [1],
	logprobs: [false],
	parallel_tool_calls: [true],
	tool_choice: ['auto'],
	store: [false],
	service_tier: ['auto', 'default'],
	presence_penalty: [0],
	frequency_penalty: [0],
};

/** Whether a parameter asks for nothing. `user` names a person: no provider that has no such parameter is told. */
export function asksForNothing(name: string, value: unknown): boolean {
	return value === undefined || value === null || name === 'user' || (NEUTRAL[name]?.includes(value) ?? false);
}
