import { parseCitations } from '../base/citation.ts';
import { repairJson } from '../base/json-repair.ts';
import type { Contract } from '../contracts/release.ts';
import type { Guard, GuardContext, RepairedAnswer } from '../spec/guard.ts';
import { compileOutputSchema } from './output-schema.ts';

/** Why an answer fails; null when it passes. */
type Check = (answer: string, context: GuardContext) => string | null;

/** Finish reasons of a model that said all it wanted to say, OpenAI's and those of servers that imitate it. */
const COMPLETE = new Set(['stop', 'tool_calls', 'function_call', 'eos', 'eos_token', 'stop_sequence', 'end_turn']);

/**
 * The guards that a contract asks for, in the order in which they run. An answer that is too long fails them all unread, so
 * that no guard's work exceeds what `answer_chars_max` allows.
 * Throws PlimsollError `configuration_invalid` when the output schema cannot be compiled.
 */
export function createGuards({
	outputSchema,
	reading,
	structured,
	citations,
	abstention,
	answerCharsMax,
}: Contract['guards']): readonly Guard[] {
	const length = answerLength(answerCharsMax);
	const guards = [
		guard('answer_length', length, (beginning) => length(beginning)),
		guard('not_truncated', notTruncated),
	];
	const bounded = (check: Check): Check => {
		return (answer, context) =>
			isLonger(answer, answerCharsMax) ? 'not judged, because the answer is too long' : check(answer, context);
	};
	if (outputSchema) {
		const check = bounded(compileOutputSchema(outputSchema, reading));
		const schema = guard('schema', check);
		guards.push(structured === null ? schema : { ...schema, repair: (answer) => repairFor(answer, check) });
	}
	if (citations !== 'off') {
		const check = bounded(citationsCheck(citations, abstention));
		guards.push(guard('citations', check, (beginning, context) => unknownCitation(beginning, abstention, context)));
	}
	return guards;
}

/** A repair counts only when what it makes of the answer passes. */
function repairFor(answer: string, check: Check): RepairedAnswer | null {
	const repaired = repairJson(answer);
	return repaired !== null && check(repaired.text, NO_CONTEXT) === null ? repaired : null;
}

const NO_CONTEXT: GuardContext = { question: '', passages: [], finishReason: 'stop' };

function guard(
	name: string,
	check: Check,
	checkBeginning?: (beginning: string, context: Pick<GuardContext, 'passages'>) => string | null,
): Guard {
	return {
		name,
		...(checkBeginning && {
			checkBeginning(beginning, context) {
				const reason = checkBeginning(beginning, context);
				return reason === null ? null : { guard: name, verdict: 'fail', reason };
			},
		}),
		check(answer, context) {
			const reason = check(answer, context);
			return { guard: name, verdict: reason === null ? 'pass' : 'fail', reason };
		},
	};
}

function answerLength(charsMax: number): (answer: string) => string | null {
	return (answer) => (isLonger(answer, charsMax) ? `the answer is longer than ${charsMax} characters` : null);
}

/** In Unicode characters; counted only where the length in UTF-16 units leaves it open. */
function isLonger(answer: string, charsMax: number): boolean {
	if (answer.length <= charsMax) return false;
	if (answer.length > 2 * charsMax) return true;
	let characters = 0;
	for (const _ of answer) characters++;
	return characters > charsMax;
}

const notTruncated: Check = (_answer, { finishReason }) => {
	if (COMPLETE.has(finishReason)) return null;
	if (finishReason === 'length') return 'the answer was cut at its token limit';
	if (finishReason === 'content_filter') return 'the provider’s content filter ended the answer';
	return finishReason === ''
		? 'the answer has no finish reason'
		: 'the answer ended for a reason that is not a completion';
};

function citationsCheck(wanted: 'required' | 'valid', abstention: string | null): Check {
	return (answer, { passages }) => {
		if (answer.trim() === abstention) return null;
		const { cited, unknown } = parseCitations(answer, passages);
		if (unknown.length > 0) return unknownText(unknown, passages.length);
		return wanted === 'required' && cited.length === 0 ? 'the answer cites no passage' : null;
	};
}

function unknownText(unknown: readonly number[], passages: number): string {
	const numbers = unknown.slice(0, 3).map((number) => `[${number}]`);
	return `the answer cites ${numbers.join(', ')}, and the prompt held ${passages} passages`;
}

/** JSON has its citations in strings, and says only as a whole where those are; code that has not ended may hold brackets. */
function unknownCitation(
	beginning: string,
	abstention: string | null,
	{ passages }: Pick<GuardContext, 'passages'>,
): string | null {
	if (/^\s*[{[]/.test(beginning) || abstention?.startsWith(beginning.trim())) return null;
	const code = beginning.indexOf('`', beginning.lastIndexOf('\n') + 1);
	const { unknown } = parseCitations(code === -1 ? beginning : beginning.slice(0, code), passages);
	return unknown.length > 0 ? unknownText(unknown, passages.length) : null;
}
