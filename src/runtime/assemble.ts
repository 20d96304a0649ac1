import { PlimsollError } from '../spec/errors.ts';
import type { Model } from '../spec/model.ts';
import type { AssembledPrompt, PromptInput } from '../spec/prompt.ts';
import type { Feature } from './feature.ts';
import type { RequestContext } from './request-context.ts';

export type Assembly =
	| { readonly kind: 'assembled'; readonly prompt: AssembledPrompt; readonly candidates: readonly Model[] }
	| { readonly kind: 'fallen_back'; readonly answer: string; readonly degraded: string };

/** assemble: renders the prompt and fits it to the budget, else takes the way out that the contract names. */
export function assemble(context: RequestContext, feature: Feature, input: PromptInput): Promise<Assembly> {
	return context.step('assemble', ({ detail }) => {
		const { trace } = context;
		trace.prompt_name = feature.prompt.name;
		trace.prompt_version = feature.prompt.version;
		const assembly = fitToBudget(context, feature, input);
		if (assembly.kind === 'assembled') {
			const { prompt } = assembly;
			trace.prompt_hash = prompt.hash;
			trace.tokens_in = prompt.tokensIn;
			trace.retrieval_doc_ids = prompt.passages.map((passage) => passage.chunkId);
			trace.retrieval_scores = trace.retrieval_scores.slice(0, prompt.passages.length);
			detail.tokens_in = prompt.tokensIn;
			if (feature.release.contract.guards.structured?.instruction) detail.schema_in_prompt = true;
			detail.passages = prompt.passages.length;
			if (prompt.trimmedPassages > 0) detail.trimmed_passages = prompt.trimmedPassages;
			if (prompt.trimmedTurns > 0) detail.trimmed_turns = prompt.trimmedTurns;
		}
		return assembly;
	});
}

function fitToBudget(context: RequestContext, feature: Feature, input: PromptInput): Assembly {
	const { route, escalateTo } = feature;
	const primary = route[0] as Model;
	try {
		const prompt = render(feature, input, primary);
		const { tokensOutMax } = feature.release.contract.budget;
		// A fail-over must not meet a window that the prompt cannot fit: it would only fail again.
		return {
			kind: 'assembled',
			prompt,
			candidates: route.filter((model) => room(model, tokensOutMax) >= prompt.tokensIn),
		};
	} catch (thrown) {
		if (!(thrown instanceof PlimsollError) || thrown.code !== 'budget_tokens_in_exceeded') throw thrown;
		const policy = feature.release.contract.onFailure.budget_exceeded;
		if (policy.action === 'fall_back') {
			return { kind: 'fallen_back', answer: policy.answer, degraded: 'budget_exceeded: fall_back' };
		}
		if (policy.action === 'escalate' && escalateTo !== null) {
			const prompt = render(feature, input, escalateTo);
			context.trace.escalated_from = primary.upstream.name;
			return { kind: 'assembled', prompt, candidates: [escalateTo] };
		}
		throw thrown;
	}
}

/** The contract's cap holds for every upstream; a smaller context window lowers it further. */
function render({ prompt, release }: Feature, input: PromptInput, model: Model): AssembledPrompt {
	const { tokensInMax, tokensOutMax } = release.contract.budget;
	const instruction = release.contract.guards.structured?.instruction ?? null;
	const { tokenizer } = model.upstream;
	return prompt.assemble(input, {
		tokensInMax: Math.min(tokensInMax, room(model, tokensOutMax)),
		tokenizer,
		instruction,
	});
}

/** Tokens of a model's window that are left for the prompt. */
function room({ upstream }: Model, tokensOutMax: number): number {
	return upstream.contextTokensMax - Math.min(tokensOutMax, upstream.tokensOutMax);
}
