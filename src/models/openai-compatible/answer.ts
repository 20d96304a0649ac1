import type { Completion, ServedBy, Usage } from '../../spec/model.ts';
import type { ResponseHeaders } from '../exchange/failure.ts';
import { isObject, type Json } from '../exchange/json.ts';
import { detailsOf } from '../exchange/served-details.ts';

/** The body has valid JSON, or none, but not the shape of OpenAI's chat completions. */
export class AnswerShapeError extends Error {
	override readonly name = 'AnswerShapeError';
}

/** A JSON object from text. Throws AnswerShapeError. */
export function parseObject(text: string): Json {
	let value: unknown;
	try {
		value = JSON.parse(text);
	} catch (cause) {
		throw new AnswerShapeError(`expected JSON, got ${quote(text)}: ${cause instanceof Error ? cause.message : ''}`);
	}
	if (!isObject(value)) throw new AnswerShapeError(`expected a JSON object, got ${quote(text)}`);
	return value;
}

/** A whole answer from the body of a 200. Throws AnswerShapeError; what it does not read stays in `raw`. */
export function readCompletion(body: Json, raw: string, headers: ResponseHeaders = {}): Completion {
	const choice = firstChoice(body);
	if (choice === null) throw new AnswerShapeError(`expected choices with at least one entry, got ${quote(raw)}`);
	const message = choice.message;
	if (!isObject(message)) throw new AnswerShapeError(`expected choices[0].message, got ${quote(raw)}`);
	const finishReason = text(choice.finish_reason);
	if (finishReason === null)
		throw new AnswerShapeError('choices[0] has no finish_reason: the answer may be incomplete');
	const thought = thinkingText(message);
	return {
		text: contentText(message.content) || (text(message.refusal) ?? ''),
		...(thought !== '' && { thoughts: [{ text: thought, proof: null }] }),
		finishReason,
		toolCalls: Array.isArray(message.tool_calls) && message.tool_calls.length > 0 ? message.tool_calls : null,
		usage: readUsage(body.usage, body.service_tier),
		served: readServed(body, headers),
		confidence: null,
		raw,
	};
}

/** What one event of a stream says. */
export interface Delta {
	/** Text of choice 0. */
	readonly text: string;
	/** What choice 0 thought. */
	readonly thought: string;
	/** `tool_calls` of choice 0's delta; null when it has none. */
	readonly toolCalls: readonly unknown[] | null;
	/** Something that a model generated: text, reasoning, a tool call. A role alone, or nothing, is not. */
	readonly generated: boolean;
	/** Indexes of the choices that this event finishes, with choice 0's reason (or the first one's). */
	readonly finished: readonly number[];
	readonly finishReason: string | null;
	readonly usage: Usage | null;
	/** The event has no choices: the usage report at the end, or Azure's first event. */
	readonly empty: boolean;
}

const NONE: readonly number[] = [];

/** Throws AnswerShapeError. */
export function readDelta(event: Json): Delta {
	const choices = event.choices ?? (isObject(event.usage) ? NONE : undefined);
	if (!Array.isArray(choices)) throw new AnswerShapeError('an event of the stream has no choices');
	const usage = event.usage ? readUsage(event.usage, event.service_tier) : null;
	let content = '';
	let thought = '';
	let generated = false;
	let toolCalls: readonly unknown[] | null = null;
	let finished = NONE;
	let finishReason: string | null = null;
	for (const choice of choices as readonly unknown[]) {
		if (!isObject(choice)) throw new AnswerShapeError('a choice of the stream is not an object');
		const index = typeof choice.index === 'number' ? choice.index : 0;
		const delta = choice.delta;
		if (isObject(delta)) {
			generated ||= hasTokens(delta);
			if (index === 0) {
				thought += thinkingText(delta);
				content += contentText(delta.content) || (text(delta.refusal) ?? '');
				if (Array.isArray(delta.tool_calls) && delta.tool_calls.length > 0) toolCalls = delta.tool_calls;
			}
		}
		const reason = text(choice.finish_reason);
		if (reason !== null) {
			finished = [...finished, index];
			finishReason = index === 0 ? reason : (finishReason ?? reason);
		}
	}
	return { text: content, thought, toolCalls, generated, finished, finishReason, usage, empty: choices.length === 0 };
}

/** The JSON text of an event with other calls of choice 0 than it came with. */
export function withCalls(event: Json, toolCalls: readonly unknown[] | null): string {
	const choices = (event.choices as readonly Json[]).map((choice) => {
		const { delta, index = 0 } = choice;
		const isFirst = index === 0 && isObject(delta) && Array.isArray(delta.tool_calls);
		return isFirst ? { ...choice, delta: { ...delta, tool_calls: toolCalls } } : choice;
	});
	return JSON.stringify({ ...event, choices });
}

/** @param headers left out: what they say is known. */
export function readServed(body: Json, headers: ResponseHeaders = {}): ServedBy {
	const details = detailsOf(headers);
	return {
		model: text(body.model),
		responseId: text(body.id),
		fingerprint: text(body.system_fingerprint),
		...(details !== null && { details }),
	};
}

/**
 * OpenAI's usage; `prompt_tokens` includes the cached ones. Null when it is absent or contradicts itself: the caller
 * then estimates, because a wrong count would become a wrong bill.
 */
function readUsage(usage: unknown, tier: unknown): Usage | null {
	if (!isObject(usage)) return null;
	const tokensIn = count(usage.prompt_tokens);
	const tokensOut = count(usage.completion_tokens);
	const tokensCached = detail(usage.prompt_tokens_details, 'cached_tokens');
	const tokensCacheWritten = detail(usage.prompt_tokens_details, 'cache_write_tokens');
	const tokensReasoning = detail(usage.completion_tokens_details, 'reasoning_tokens');
	if (tokensIn === null || tokensOut === null || tokensCached === null) return null;
	if (tokensCacheWritten === null || tokensReasoning === null) return null;
	const total = typeof usage.total_tokens === 'number' ? usage.total_tokens : tokensIn + tokensOut;
	// xAI counts what the model thought beside the completion; only the total tells. Elsewhere it is a part of it.
	const isApart = tokensReasoning > 0 && total === tokensIn + tokensOut + tokensReasoning;
	const out = isApart ? tokensOut + tokensReasoning : tokensOut;
	if (tokensCached + tokensCacheWritten > tokensIn || tokensReasoning > out) return null;
	// A total below its parts is a contradiction; above them it may hold what the vendor counts apart.
	if (total < tokensIn + out) return null;
	const counts = { tokensIn, tokensOut: out, tokensCached, tokensCacheWritten, tokensReasoning };
	// OpenAI bills what its flex tier served at the rates of its batches.
	return { ...counts, ...(tier === 'flex' && { batch: true }), source: 'reported' };
}

/** A count among the details of a usage: 0 when it is absent, null when it is none. */
function detail(details: unknown, name: string): number | null {
	const value = isObject(details) ? details[name] : undefined;
	return value === undefined || value === null ? 0 : count(value);
}

function firstChoice(body: Json): Json | null {
	const choices = body.choices;
	if (!Array.isArray(choices)) return null;
	const choice: unknown = choices[0];
	return isObject(choice) ? choice : null;
}

function hasTokens(delta: Json): boolean {
	for (const name in delta) {
		if (name === 'role') continue;
		const value = delta[name];
		if (typeof value === 'string' ? value !== '' : Array.isArray(value) ? value.length > 0 : isObject(value))
			return true;
	}
	return false;
}

/** DeepSeek's name for it, which most took over, and OpenRouter's and Groq's. */
function thinkingText({ reasoning_content: content, reasoning }: Json): string {
	return text(content) ?? text(reasoning) ?? '';
}

/** Text content: a string, or the text parts of a list of parts. */
function contentText(content: unknown): string {
	if (typeof content === 'string') return content;
	if (!Array.isArray(content)) return '';
	return content.map((part: unknown) => (isObject(part) ? (text(part.text) ?? '') : '')).join('');
}

/** A string that says something, or null. */
function text(value: unknown): string | null {
	return typeof value === 'string' && value !== '' ? value : null;
}

function count(value: unknown): number | null {
	return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : null;
}

function quote(raw: string): string {
	return raw.length <= 120 ? JSON.stringify(raw) : `${JSON.stringify(raw.slice(0, 120))}…`;
}
