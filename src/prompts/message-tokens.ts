import { countTokens, type TokenizerName } from '../base/tokens.ts';

/** Tokens that OpenAI's chat format adds to each message, and once for the reply it then begins. */
const MESSAGE_TOKENS = 3;
export const REPLY_TOKENS = 3;

/**
 * Tokens of one message in a request, framing included, as OpenAI's cookbook counts them ("How to count tokens with
 * tiktoken": 3 for each message, plus those of its role and content). A whole request takes REPLY_TOKENS more.
 *
 * @param stopAbove counting may end once the result is certain to be above this.
 */
export function messageTokens(
	message: { readonly role: string; readonly content: string },
	tokenizer: TokenizerName,
	stopAbove: number = Number.POSITIVE_INFINITY,
): number {
	return MESSAGE_TOKENS + roleTokens(message.role, tokenizer) + countTokens(message.content, tokenizer, stopAbove);
}

/** The roles of every assembled prompt are one token each in both encodings. */
function roleTokens(role: string, tokenizer: TokenizerName): number {
	return role === 'system' || role === 'user' || role === 'assistant' ? 1 : countTokens(role, tokenizer);
}
