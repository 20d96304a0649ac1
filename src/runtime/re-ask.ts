import { countTokens } from '../base/tokens.ts';
import { worstCaseCost } from '../policy/cost.ts';
import type { ChatMessage, Model } from '../spec/model.ts';
import type { GuardVerdict } from '../spec/trace.ts';
import type { GenerationPlan } from './generation-plan.ts';
import { tokensOutOf } from './parameters.ts';
import type { RequestContext } from './request-context.ts';

/** Of a misfit answer that its model is shown again, in characters. */
const SHOWN_CHARS_MAX = 8_000;
/** What two further messages cost beyond their text. */
const FRAMING_TOKENS = 8;
/** Shortest time in which asking again is worth its price, milliseconds. */
const REMAINING_MS_MIN = 100;

/**
 * The same question once more, with the misfit answer and why it does not fit. Null where that does not fit into the
 * contract: its tokens, its cost, its attempts or its deadline.
 */
export function reAskPlan(
	context: RequestContext,
	plan: GenerationPlan,
	misfit: { model: Model; text: string; failed: GuardVerdict; tokensInMax: number },
): GenerationPlan | null {
	const { model, text, failed, tokensInMax } = misfit;
	const { upstream } = model;
	if (context.attempts >= plan.attemptsMax || context.mayHaveActed) return null;
	const left = Math.min(context.deadline.remainingMs(), plan.endsMs - context.elapsedMs());
	if (left < REMAINING_MS_MIN) return null;

	const tokensOut = tokensOutOf(plan.call, upstream);
	const room = Math.min(tokensInMax, upstream.contextTokensMax - tokensOut) - plan.countTokensIn();
	const added = [messagesFor(text, failed), messagesFor(null, failed)]
		.map((messages) => ({ messages, tokens: tokensOf(messages, upstream.tokenizer) }))
		.find(({ tokens }) => tokens <= room);
	if (!added) return null;
	const tokensIn = plan.countTokensIn() + added.tokens;
	const worst = worstCaseCost(tokensIn, tokensOut, upstream.price);
	if (plan.costMicrosMax !== null && context.trace.cost_usd_micros + worst > plan.costMicrosMax) return null;
	return {
		...plan,
		isReAsk: true,
		candidates: [model],
		escalateTo: null,
		messages: [...plan.messages, ...added.messages],
		countTokensIn: () => tokensIn,
	};
}

/** Without the answer where it is too long to be shown. */
function messagesFor(text: string | null, { reason }: GuardVerdict): readonly ChatMessage[] {
	const shown = text !== null && text !== '' && text.length <= SHOWN_CHARS_MAX ? text : null;
	const correction = `${shown === null ? 'An earlier answer' : 'This answer'} could not be used: ${reason}. Answer again with the corrected JSON and nothing else.`;
	const asked = { role: 'user', content: correction };
	return shown === null ? [asked] : [{ role: 'assistant', content: shown }, asked];
}

function tokensOf(messages: readonly ChatMessage[], tokenizer: Model['upstream']['tokenizer']): number {
	return messages.reduce((sum, { content }) => sum + countTokens(String(content), tokenizer), FRAMING_TOKENS);
}
