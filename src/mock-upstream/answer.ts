import { countTokens } from '../base/tokens.ts';
import { type Asked, textOf } from './asked.ts';
import type { Plan, TokenCounts } from './plan.ts';
import { sampleOf } from './schema-sample.ts';

export interface ToolCall {
	readonly id: string;
	readonly name: string;
	/** JSON text, unless a fault broke it. */
	readonly arguments: string;
	/** Where a stream says it stands: its place, unless a fault gives them all the same. */
	readonly index: number;
}

/** A part of a call as a stream tells it. */
interface CallPiece {
	readonly call: ToolCall;
	readonly fragment: string;
	readonly first: boolean;
	readonly last: boolean;
}

/** What a model says, before any vendor's words are put around it. */
export interface Answer {
	readonly id: string;
	/** Seconds since the epoch: fixed, so that a seed repeats every byte. */
	readonly created: number;
	readonly model: string;
	readonly text: string;
	/** The text as a stream cuts it. */
	readonly pieces: readonly string[];
	readonly thinking: string | null;
	readonly calls: readonly ToolCall[];
	readonly callPieces: readonly CallPiece[];
	/** In OpenAI's words; null: the answer ends without one. */
	readonly finish: string | null;
	/** Null: the answer reports no usage. */
	readonly counts: TokenCounts | null;
	/** The usage of chat completions word for word. */
	readonly chatUsage: Record<string, unknown> | null;
	/** Whether a stream reports usage. */
	readonly usageInStream: boolean;
}

export const CREATED = 1_750_000_000;
const TEXT = 'The load line of a ship shows how much it may carry in each season and sea.';
const THINKING = 'The question is about ships, so the load line is what it asks for.';
/** What the tests of the runtime reckon with. */
const FIXED_COUNTS: TokenCounts = {
	tokensIn: 20,
	tokensOut: 17,
	tokensCached: 4,
	tokensCacheWritten: 0,
	tokensReasoning: 0,
};
/** More was read from the cache than was sent at all. */
const WRONG_COUNTS: TokenCounts = {
	tokensIn: 5,
	tokensOut: 3,
	tokensCached: 5_000,
	tokensCacheWritten: 0,
	tokensReasoning: 0,
};
const INVENTED_TOOL = { name: 'look_up', schema: { type: 'object', properties: { key: { type: 'string' } } } };

/** What a model would answer to `asked`, as far as `plan` does not say. */
export function answerTo(asked: Asked, plan: Plan): Answer {
	const calls = callsOf(asked, plan);
	const text = calls.length > 0 ? (plan.text ?? '') : spoken(asked, plan);
	const thinking = plan.thinking ?? (asked.thinks ? THINKING : null);
	return {
		id: plan.id ?? 'double',
		created: CREATED,
		model: asked.model,
		text,
		pieces: plan.fault === 'empty_chunks' ? Array(plan.chunks ?? 50).fill('') : pieces(text, plan.chunks),
		thinking,
		calls,
		callPieces: callPieces(calls, plan.fault === 'interleaved_tool_calls'),
		finish: finishOf(calls, plan),
		counts: countsOf(asked, plan, [text, thinking ?? '', ...calls.map((call) => call.arguments)]),
		chatUsage: plan.usage ?? null,
		usageInStream: asked.usageInStream,
	};
}

function spoken({ schema }: Asked, plan: Plan): string {
	if (plan.fault === 'empty_chunks') return '';
	if (plan.text !== undefined || schema === null) return plan.text ?? TEXT;
	const sample = sampleOf(schema);
	return JSON.stringify(sample === null || typeof sample !== 'object' ? { answer: TEXT } : sample);
}

function callsOf({ tools, parallel }: Asked, { toolCalls, fault, text, id }: Plan): ToolCall[] {
	const isFaulty = fault === 'interleaved_tool_calls' || fault === 'duplicate_tool_calls';
	const isOfCalls = isFaulty || fault === 'broken_tool_arguments';
	// A plan that says the text means the text.
	if (tools.length === 0 ? !isOfCalls : text !== undefined && toolCalls === undefined && !isOfCalls) return [];
	const offered = tools.length > 0 ? tools : [INVENTED_TOOL];
	const wanted = isFaulty ? 2 : (toolCalls ?? 1);
	return Array.from({ length: parallel || isFaulty ? wanted : Math.min(wanted, 1) }, (_, at) => {
		const tool = offered[at % offered.length] ?? INVENTED_TOOL;
		const sound = JSON.stringify(sampleOf(tool.schema) ?? {});
		return {
			id: `${id ?? 'double'}-${at}`,
			name: tool.name,
			arguments: fault === 'broken_tool_arguments' ? sound.slice(0, Math.max(1, sound.length - 2)) : sound,
			index: fault === 'duplicate_tool_calls' ? 0 : at,
		};
	});
}

function callPieces(calls: readonly ToolCall[], interleaved: boolean): CallPiece[] {
	const each = calls.map((call) => {
		const half = Math.ceil(call.arguments.length / 2);
		const fragments = ['', call.arguments.slice(0, half), call.arguments.slice(half)];
		return fragments.map((fragment, at) => ({ call, fragment, first: at === 0, last: at === 2 }));
	});
	if (!interleaved) return each.flat();
	return [0, 1, 2].flatMap((at) => each.flatMap((pieces) => pieces[at] ?? []));
}

function finishOf(calls: readonly ToolCall[], { fault, finishReason }: Plan): string | null {
	if (fault === 'no_finish_reason') return null;
	if (fault === 'truncated') return 'length';
	if (fault === 'filtered') return 'content_filter';
	return finishReason ?? (calls.length > 0 ? 'tool_calls' : 'stop');
}

function countsOf(asked: Asked, plan: Plan, said: readonly string[]): TokenCounts | null {
	if (plan.fault === 'no_usage' || plan.usage === null) return null;
	if (plan.fault === 'wrong_usage') return WRONG_COUNTS;
	if (plan.counts === undefined || plan.counts === null) return FIXED_COUNTS;
	const { counts } = plan;
	const cached = (counts.tokensCached ?? 0) + (counts.tokensCacheWritten ?? 0);
	const [, thinking = ''] = said;
	const reasoning = counts.tokensReasoning ?? countTokens(thinking, 'o200k_base');
	return {
		tokensIn: Math.max(counts.tokensIn ?? countTokens(textOf(asked.input), 'o200k_base'), cached, 1),
		tokensOut: Math.max(counts.tokensOut ?? countTokens(said.join('\n'), 'o200k_base'), reasoning, 1),
		tokensCached: counts.tokensCached ?? 0,
		tokensCacheWritten: counts.tokensCacheWritten ?? 0,
		tokensReasoning: reasoning,
	};
}

function pieces(text: string, count: number | undefined): readonly string[] {
	if (count === undefined) return text === '' ? [] : text.split(/(?<= )/);
	return Array.from({ length: count }, (_, i) => (count > text.length ? `token ${i} ` : part(text, i, count)));
}

function part(text: string, index: number, count: number): string {
	return text.slice(Math.floor((index * text.length) / count), Math.floor(((index + 1) * text.length) / count));
}
