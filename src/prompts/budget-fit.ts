import type { TokenizerName } from '../base/tokens.ts';
import type { PromptInput } from '../spec/prompt.ts';
import { messageTokens, REPLY_TOKENS } from './message-tokens.ts';
import type { Section } from './template.ts';

/** A type and not an interface, so that it is a ChatMessage, whose further members are open. */
type Message = { readonly role: string; readonly content: string };

/** Earlier messages that go or stay together: a user's message with the replies to it. */
interface Turn {
	readonly messages: readonly Message[];
}

/** What fits, or null when not even the prompt without passages and turns does. */
interface Fit {
	readonly messages: readonly Message[];
	readonly tokens: number;
	readonly passages: number;
	readonly trimmedTurns: number;
}

interface Rendered {
	/** Messages before the place of the history, and from it on. */
	readonly before: readonly Message[];
	readonly after: readonly Message[];
	readonly tokens: number;
}

/** One rendering at a time, with the tokens of its system part remembered: it rarely changes from request to request. */
export class BudgetFitter {
	#system = { content: '', tokenizer: '', tokens: 0 };

	/**
	 * Keeps as much as the budget allows: gives up passages from the lowest rank upwards, then turns from the oldest on.
	 * Passages are searched by halves, so that a long list costs few renderings; turns are messages of their own, so
	 * each is counted once.
	 *
	 * @param render the sections of the prompt with only the first `passages` passages
	 */
	fit(
		input: Pick<PromptInput, 'history' | 'passages'>,
		budget: { tokensInMax: number; tokenizer: TokenizerName },
		render: (passages: number) => readonly Section[],
	): Fit | null {
		const turns = splitTurns(input.history);
		const { tokenizer } = budget;
		const history = newestTurns(turns, budget.tokensInMax, tokenizer);
		const room = budget.tokensInMax - history.tokens;
		const draw = (passages: number, tokensMax: number) => this.#draw(render(passages), tokenizer, tokensMax);
		if (history.turns === turns.length) {
			const found = largest(input.passages.length, (passages) => {
				const rendered = draw(passages, room);
				return rendered.tokens <= room ? rendered : null;
			});
			if (found) return join(found.value, turns, { passages: found.size, kept: turns.length, tokens: history.tokens });
		}
		const bare = draw(0, budget.tokensInMax);
		if (bare.tokens > budget.tokensInMax) return null;
		const kept = newestTurns(turns, budget.tokensInMax - bare.tokens, tokenizer);
		return join(bare, turns, { passages: 0, kept: kept.turns, tokens: kept.tokens });
	}

	#draw(sections: readonly Section[], tokenizer: TokenizerName, tokensMax: number): Rendered {
		const before: Message[] = [];
		const after: Message[] = [];
		let target = before;
		let tokens = REPLY_TOKENS;
		for (const section of sections) {
			if (section === 'history') {
				target = after;
				continue;
			}
			const message = { role: section.role, content: section.text };
			target.push(message);
			tokens +=
				section.role === 'system'
					? this.#systemTokens(message, tokenizer)
					: messageTokens(message, tokenizer, tokensMax);
		}
		return { before, after, tokens };
	}

	#systemTokens(message: Message, tokenizer: TokenizerName): number {
		const known = this.#system;
		if (known.content === message.content && known.tokenizer === tokenizer) return known.tokens;
		const tokens = messageTokens(message, tokenizer);
		this.#system = { content: message.content, tokenizer, tokens };
		return tokens;
	}
}

/** Groups earlier messages; what the assistant says before any user is a turn of its own. */
function splitTurns(history: PromptInput['history']): readonly Turn[] {
	const turns: { messages: Message[] }[] = [];
	for (const { role, content } of history) {
		const last = turns.at(-1);
		if (role === 'assistant' && last) last.messages.push({ role, content });
		else turns.push({ messages: [{ role, content }] });
	}
	return turns;
}

/** How many of the newest turns fit into `tokensMax`, and their tokens. */
function newestTurns(
	turns: readonly Turn[],
	tokensMax: number,
	tokenizer: TokenizerName,
): { turns: number; tokens: number } {
	let tokens = 0;
	for (let kept = 0; kept < turns.length; kept++) {
		const messages = turns[turns.length - 1 - kept]?.messages ?? [];
		const more = messages.reduce((sum, message) => sum + messageTokens(message, tokenizer, tokensMax), 0);
		if (tokens + more > tokensMax) return { turns: kept, tokens };
		tokens += more;
	}
	return { turns: turns.length, tokens };
}

/**
 * The largest size from 0 to `max` that `attempt` accepts, by halves after the whole. With more room it never finds a smaller
 * one, even for a template that grows when it has fewer passages.
 */
function largest<T>(max: number, attempt: (size: number) => T | null): { size: number; value: T } | null {
	const whole = attempt(max);
	if (whole !== null) return { size: max, value: whole };
	let best: { size: number; value: T } | null = null;
	let low = 0;
	for (let high = max - 1; low <= high; ) {
		const size = (low + high) >> 1;
		const value = attempt(size);
		if (value === null) {
			high = size - 1;
		} else {
			best = { size, value };
			low = size + 1;
		}
	}
	return best;
}

function join(
	rendered: Rendered,
	turns: readonly Turn[],
	kept: { passages: number; kept: number; tokens: number },
): Fit {
	const trimmedTurns = turns.length - kept.kept;
	const history = turns.slice(trimmedTurns).flatMap((turn) => turn.messages);
	return {
		messages: [...rendered.before, ...history, ...rendered.after],
		tokens: rendered.tokens + kept.tokens,
		passages: kept.passages,
		trimmedTurns,
	};
}
