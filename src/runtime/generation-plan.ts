import type { Clock } from '../base/clock.ts';
import type { Random } from '../base/random.ts';
import type { Contract, FailureAction, Hedge, SchemaFormat } from '../contracts/release.ts';
import type { Breakers } from '../policy/breakers.ts';
import type { RetryBudgets } from '../policy/retry-budget.ts';
import type { ChatMessage, Model, ModelRequest } from '../spec/model.ts';
import type { AnswerTimes } from './answer-times.ts';
import type { Produced } from './attempt.ts';
import type { CallParameters } from './parameters.ts';
import type { AnswerSink } from './request.ts';
import type { UpstreamLoad } from './upstream-load.ts';

/** Everything that generation needs to know, whatever asked for it. */
export interface GenerationPlan {
	/** In order of preference, at least one. */
	readonly candidates: readonly Model[];
	readonly escalateTo: Model | null;
	readonly messages: readonly ChatMessage[];
	readonly countTokensIn: () => number;
	readonly call: CallParameters;
	/** By upstream, how it is held to a schema while it answers; null: none is. */
	readonly formats: Readonly<Record<string, SchemaFormat>> | null;
	readonly grounding: ModelRequest['grounding'];
	/** It asks for what did not fit its schema to be said again. */
	readonly isReAsk?: true;
	readonly attemptsMax: number;
	/** When a second attempt is made beside the first; null: never. */
	readonly hedge: Hedge | null;
	readonly onFailure: Contract['onFailure'];
	/** Null: no cap. */
	readonly costMicrosMax: number | null;
	/** The time that the operator grants generation, milliseconds, however long the client waits. */
	readonly grantedMs: number;
	/** When generation must have ended, milliseconds since the request entered; the deadline stands above it. */
	readonly endsMs: number;
	/** Where a stream goes while it is made; null: nothing is sent before the whole is known. */
	readonly sink: AnswerSink | null;
}

export interface GenerationParts {
	readonly clock: Clock;
	readonly random: Random;
	readonly retries: RetryBudgets;
	readonly breakers: Breakers;
	readonly load: UpstreamLoad;
	readonly times: AnswerTimes;
	/** Told about faults that must not cost the client an answer that it can have. */
	readonly onFault: (error: unknown) => void;
}

export type Generation =
	| ({ readonly kind: 'produced'; readonly model: Model; readonly degraded: string | null } & Produced)
	| { readonly kind: 'fallen_back'; readonly answer: string; readonly degraded: string };

const FAIL_CLOSED: FailureAction = { action: 'fail_closed' };
/** What fails is not tried in another way. */
export const NO_POLICIES: GenerationPlan['onFailure'] = {
	upstream_timeout: FAIL_CLOSED,
	upstream_outage: FAIL_CLOSED,
	upstream_quota: FAIL_CLOSED,
	empty_retrieval: FAIL_CLOSED,
	budget_exceeded: FAIL_CLOSED,
	invalid_output: FAIL_CLOSED,
	stream_broken: FAIL_CLOSED,
	feature_disabled: FAIL_CLOSED,
};
