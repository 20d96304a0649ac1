import type { Contract } from '../contracts/release.ts';
import type { Model } from '../spec/model.ts';
import type { PromptInput } from '../spec/prompt.ts';
import type { GenerationParts } from './generation-plan.ts';
import { askHelper, NoHelp } from './helper-call.ts';
import type { RequestContext, StepNotes } from './request-context.ts';

const SYSTEM = [
	'You write queries for a search engine over a document collection. The last query found nothing that fits.',
	'Answer with one other query for the same question and nothing else: no quotes, no explanation.',
	'Use the words that a document with the answer would use, name what the conversation refers to, and leave out small talk.',
].join(' ');

/** Of the conversation so far: what a question refers to is rarely further back. */
const TURNS_MAX = 4;
const TURN_CHARS_MAX = 500;
const QUESTION_CHARS_MAX = 4_000;
const QUERY_CHARS_MAX = 1_000;
const QUERY_TOKENS_MAX = 100;

/** Another query for the same question, by a helper. Throws NoHelp. */
export async function rewriteQuery(
	context: RequestContext,
	ask: { contract: Contract; helper: Model | null; input: Omit<PromptInput, 'passages'>; endsMs: number },
	{ parts, notes }: { parts: GenerationParts; notes: StepNotes },
): Promise<string> {
	const { helper: model, input, endsMs } = ask;
	if (model === null) throw new NoHelp('its upstream is switched off');
	const turns = input.history
		.slice(-TURNS_MAX)
		.map(({ role, content }) => `${role}: ${String(content).slice(0, TURN_CHARS_MAX)}`);
	const question = `Question: ${input.question.slice(0, QUESTION_CHARS_MAX)}`;
	const user = turns.length === 0 ? question : `Conversation:\n${turns.join('\n')}\n\n${question}`;
	const { costMicrosMax } = ask.contract.budget;
	const call = { model, system: SYSTEM, user, tokensOutMax: QUERY_TOKENS_MAX, costMicrosMax, endsMs };
	const query = firstLine(await askHelper(context, call, { parts, notes }));
	if (query === '' || query === input.question.trim()) throw new NoHelp('it gave no other query');
	return query;
}

function firstLine(text: string): string {
	const [line = ''] = text.trim().split('\n', 1);
	return line
		.replace(/^["'`]+|["'`]+$/g, '')
		.trim()
		.slice(0, QUERY_CHARS_MAX);
}
