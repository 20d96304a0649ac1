import { functionCall } from '../base/function-call.ts';
import { repairJson } from '../base/json-repair.ts';
import { type Completion, UpstreamError } from '../spec/model.ts';

/** The arguments of all calls may grow to so many characters: no model calls tools at such length. */
const ARGUMENT_CHARS_MAX = 4_000_000;
/** Of arguments that are none, so much is quoted. */
const QUOTED_CHARS_MAX = 120;

/** Answers that ended early: their last call is as broken off as they are, and their finish reason says so. */
const ENDED_EARLY: ReadonlySet<string> = new Set(['length', 'content_filter']);

/** A completion whose calls can be made. */
export interface SoundCalls {
	readonly completion: Completion;
	/** How many calls had to be repaired. */
	readonly repaired: number;
}

/**
 * Holds a model to what a call of a tool is: a name, and arguments that are a JSON object (or nothing). Arguments of which
 * only the syntax is wrong are repaired as structured output is; nothing is invented for what is missing. Throws UpstreamError
 * `broken_call` for the others. An answer that ended early stays as it is.
 */
export function soundCalls(completion: Completion, upstream: string): SoundCalls {
	const { toolCalls, finishReason } = completion;
	if (toolCalls === null || ENDED_EARLY.has(finishReason)) return { completion, repaired: 0 };
	let repaired = 0;
	const sound = toolCalls.map((call) => {
		const args = soundArguments(call, upstream);
		if (args === null) return call;
		repaired++;
		return withArguments(call, args);
	});
	if (repaired === 0) return { completion, repaired };
	return { completion: { ...completion, toolCalls: sound, raw: rawWith(completion.raw, sound) }, repaired };
}

/** The pieces of a stream's calls: what has been sent cannot be repaired any more. */
export class CallPieces {
	readonly #upstream: string;
	readonly #calls = new Map<number, { name: string; args: string }>();
	#chars = 0;

	constructor(upstream: string) {
		this.#upstream = upstream;
	}

	/** How many characters a piece of the stream adds to the calls. Throws UpstreamError `nonsense` for more than anyone calls with. */
	add(pieces: readonly unknown[]): number {
		const before = this.#chars;
		for (const [at, piece] of pieces.entries()) {
			if (!isOfFunction(piece)) continue;
			const { index, name, args } = functionCall(piece);
			const known = this.#calls.get(index ?? at);
			this.#chars += name.length + args.length;
			if (known) {
				known.args += args;
				known.name ||= name;
			} else this.#calls.set(index ?? at, { name, args });
		}
		if (this.#chars <= ARGUMENT_CHARS_MAX) return this.#chars - before;
		const message = `${this.#upstream} called tools with more than ${ARGUMENT_CHARS_MAX} characters.`;
		throw new UpstreamError('nonsense', this.#upstream, message);
	}

	/** The text of all calls, which providers bill. */
	get said(): string {
		return [...this.#calls.values()].map(({ name, args }) => name + args).join('');
	}

	/** Before the end of the answer is told. Throws UpstreamError `broken_call`. */
	end(finishReason: string): void {
		if (ENDED_EARLY.has(finishReason)) return;
		for (const call of this.#calls.values()) {
			if (!isSound(call)) throw broken(this.#upstream, call);
		}
	}
}

/** What providers bill of whole calls. */
export function saidInCalls(toolCalls: Completion['toolCalls']): string {
	const texts = (toolCalls ?? []).map((call) => {
		const { name, args } = functionCall(call);
		return name + args;
	});
	return texts.join('');
}

/** The arguments in their sound form; null: they are sound as they stand. */
function soundArguments(call: unknown, upstream: string): string | null {
	if (!isOfFunction(call)) return null;
	const { name, args } = functionCall(call);
	const said = argumentsOf(call);
	const isText = said === undefined || typeof said === 'string';
	if (isSound({ name, args })) return isText ? null : args;
	const repaired = name === '' ? null : repairedArguments(args);
	if (repaired === null) throw broken(upstream, { name, args });
	return repaired;
}

/** Also arguments that were quoted once too often. */
function repairedArguments(args: string): string | null {
	const value = parsed(args);
	const text = typeof value === 'string' ? value : args;
	const repaired = repairJson(text)?.text ?? text;
	return isArguments(repaired) ? repaired : null;
}

function isSound({ name, args }: { name: string; args: string }): boolean {
	return name !== '' && isArguments(args);
}

/** An object, or nothing: models write `null`, or no text at all, for a tool that takes no arguments. */
function isArguments(text: string): boolean {
	if (text.trim() === '') return true;
	const value = parsed(text);
	return value === null || (typeof value === 'object' && !Array.isArray(value));
}

/** Undefined for what is no JSON. */
function parsed(text: string): unknown {
	try {
		return JSON.parse(text) as unknown;
	} catch {
		return undefined;
	}
}

/** Other kinds of calls are their client's and its provider's alone. */
function isOfFunction(call: unknown): call is Readonly<Record<string, unknown>> {
	if (typeof call !== 'object' || call === null) return false;
	const { type = 'function' } = call as { type?: unknown };
	return type === 'function' || 'function' in call;
}

function argumentsOf(call: Readonly<Record<string, unknown>>): unknown {
	const { function: inner } = call;
	return typeof inner === 'object' && inner !== null ? (inner as { arguments?: unknown }).arguments : undefined;
}

function withArguments(call: unknown, args: string): unknown {
	const { function: inner, ...rest } = call as { function?: object };
	return { ...rest, function: { ...inner, arguments: args } };
}

/** The provider's own JSON, with the calls as they are given on. */
function rawWith(raw: string | null, toolCalls: readonly unknown[]): string | null {
	if (raw === null) return null;
	const body = JSON.parse(raw) as { choices: { message: object }[] };
	const [first, ...others] = body.choices;
	const message = { ...first?.message, tool_calls: toolCalls };
	return JSON.stringify({ ...body, choices: [{ ...first, message }, ...others] });
}

function broken(upstream: string, { name, args }: { name: string; args: string }): UpstreamError {
	const quoted = args.length <= QUOTED_CHARS_MAX ? args : `${args.slice(0, QUOTED_CHARS_MAX)}…`;
	const what =
		name === ''
			? 'called a tool without saying which'
			: `called the tool ${name.slice(0, 100)} with arguments that are no JSON object, and cannot be made one without guessing`;
	return new UpstreamError('broken_call', upstream, `${upstream} ${what}: ${JSON.stringify(quoted)}`);
}
