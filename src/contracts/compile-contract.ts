import { compileRetrieval, emptyRetrievalEnd } from './compile-retrieval.ts';
import type { RawContract } from './contract-schema.ts';
import { usdToMicros } from './money.ts';
import type { Contract, FailureAction, FailureSituation, Hedge } from './release.ts';

/**
 * A valid contract as the runtime reads it.
 * @param available whether an upstream can be called at all; the others are left out of the route.
 */
export function compileContract(
	feature: string,
	raw: RawContract,
	from: Pick<Contract['guards'], 'outputSchema' | 'reading' | 'structured'> & {
		available: (upstream: string) => boolean;
	},
): Contract {
	const { objective, budget, retrieval, models, guards } = raw;
	const escalateTo = models.escalate_to !== null && from.available(models.escalate_to) ? models.escalate_to : null;
	const [prompt = '', version = null] = raw.prompt.split('@', 2);
	return {
		feature,
		description: raw.description,
		owner: raw.owner,
		exampleQuestion: raw.example_question,
		priority: raw.priority,
		objective: {
			latencyMsP95: objective.latency_ms_p95,
			timeToFirstTokenMsP95: objective.time_to_first_token_ms_p95,
			availability: objective.availability,
		},
		budget: {
			tokensInMax: budget.tokens_in_max,
			tokensOutMax: budget.tokens_out_max,
			costMicrosMax: budget.cost_usd_max === null ? null : usdToMicros(budget.cost_usd_max),
			deadlineMs: budget.deadline_ms,
			stepShare: { retrieve: budget.step_share.retrieve, generate: budget.step_share.generate },
		},
		retrieval: compileRetrieval(raw, from.available),
		prompt: { name: prompt, version },
		models: {
			route: models.route.filter(from.available),
			routes: Object.fromEntries(
				Object.entries(models.routes).map(([name, upstreams]) => [name, upstreams.filter(from.available)]),
			),
			equals: models.equals.map(({ upstreams, by }) => ({ weights: upstreams, by })),
			escalateTo,
			parameters: models.parameters,
			clientParameters: models.client_parameters,
			attemptsMax: models.attempts_max,
			thinking: models.thinking,
			hedge: hedgeOf(models.hedge),
		},
		guards: {
			outputSchema: from.outputSchema,
			reading: from.reading,
			structured: from.structured,
			citations: guards.citations ?? (retrieval ? 'valid' : 'off'),
			abstention: guards.abstention,
			answerCharsMax: guards.answer_chars_max,
		},
		stream: raw.stream,
		streamWindowChars: raw.stream_window_chars,
		onFailure: failurePolicies(raw, escalateTo),
		flags: flagUses(raw.flags),
	};
}

function hedgeOf(raw: RawContract['models']['hedge']): Hedge | null {
	if (raw === null) return null;
	if (raw.after_quantile !== null) return { afterQuantile: raw.after_quantile, samplesMin: raw.samples_min };
	return raw.after_ms === null ? null : { afterMs: raw.after_ms };
}

function failurePolicies(raw: RawContract, escalateTo: string | null): Contract['onFailure'] {
	const compile = (situation: Exclude<FailureSituation, 'empty_retrieval'>): FailureAction => {
		const policy = raw.on_failure[situation];
		if (typeof policy !== 'string') return { action: 'fall_back', answer: policy.fall_back };
		// An optional upstream that is switched off leaves nothing to escalate to: failing closed is the safe end.
		if (policy === 'escalate' && escalateTo === null) return { action: 'fail_closed' };
		return { action: policy };
	};
	return {
		upstream_timeout: compile('upstream_timeout'),
		upstream_outage: compile('upstream_outage'),
		upstream_quota: compile('upstream_quota'),
		empty_retrieval: emptyRetrievalEnd(raw),
		budget_exceeded: compile('budget_exceeded'),
		invalid_output: compile('invalid_output'),
		stream_broken: compile('stream_broken'),
		feature_disabled: compile('feature_disabled'),
	};
}

function flagUses(raw: RawContract['flags']): Contract['flags'] {
	const uses = {
		enabled: raw.enabled,
		route: raw.route,
		promptVersion: raw.prompt_version,
		variables: { ...raw.variables },
	};
	const none = [uses.enabled, uses.route, uses.promptVersion, ...Object.values(uses.variables)].every(
		(name) => name === null,
	);
	return none ? null : uses;
}
