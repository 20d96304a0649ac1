import type { Priority } from '../spec/priority.ts';
import type { SearchMode } from '../spec/retrieval.ts';
import type { BoundCondition } from './bound-filter.ts';

/** What to do when something goes wrong. Each situation allows a subset; see FAILURE_POLICIES. */
export type FailureAction =
	/** Try the same upstream again, within the attempts and the deadline. */
	| { readonly action: 'retry' }
	/** Go on with what the client has seen at an upstream that continues turns; where it has seen nothing, as `retry`. */
	| { readonly action: 'continue' }
	/** Go to the next upstream of the route. The answer is marked degraded. */
	| { readonly action: 'fail_over' }
	/** Answer with a fixed text: an answer, a question to the user, or that the feature does not know. Marked degraded. */
	| { readonly action: 'fall_back' | 'ask_back' | 'abstain'; readonly answer: string }
	/** Go to `models.escalate_to`. */
	| { readonly action: 'escalate' }
	/** Go on without what is missing. The answer is marked degraded. */
	| { readonly action: 'degrade' }
	/** End with the situation's error. */
	| { readonly action: 'fail_closed' };

/** An action that needs no text of the contract's. */
export type BareAction = Exclude<FailureAction['action'], 'fall_back' | 'ask_back' | 'abstain'>;

/** Which actions each situation allows; the first is the default when the contract is silent. */
export const FAILURE_POLICIES = {
	upstream_timeout: ['fail_over', 'retry', 'fall_back', 'fail_closed'],
	upstream_outage: ['retry', 'fail_over', 'fall_back', 'fail_closed'],
	upstream_quota: ['retry', 'fail_over', 'fall_back', 'fail_closed'],
	empty_retrieval: ['fail_closed', 'degrade', 'fall_back', 'ask_back', 'abstain'],
	budget_exceeded: ['fail_closed', 'escalate', 'fall_back'],
	invalid_output: ['fail_closed', 'retry', 'escalate', 'fall_back'],
	stream_broken: ['continue', 'retry', 'fail_over', 'fall_back', 'fail_closed'],
	feature_disabled: ['fail_closed', 'fall_back'],
} as const satisfies Record<string, readonly FailureAction['action'][]>;

/**
 * How retrieval looks again when it found too little. `widen_k`: further down the ranking, with every vector compared;
 * `lexical`: by BM25 alone; `rewrite`: for another query, written by an upstream.
 */
export const FLOOR_STEPS = ['widen_k', 'lexical', 'rewrite'] as const;
export type FloorStep = (typeof FLOOR_STEPS)[number];

/** What flags call the contract's own route, `models.route`. */
export const DEFAULT_ROUTE = 'default';

export type FailureSituation = keyof typeof FAILURE_POLICIES;

/** How an output schema is read. */
export interface SchemaReading {
	/** Its own address, which references within it are relative to. */
	readonly uri: string;
	/** What it refers to beside itself, by address. */
	readonly documents: Readonly<Record<string, unknown>>;
	/** Whether `format` is held against an answer, or only says what is meant. */
	readonly formats: 'assertion' | 'annotation';
}

/** How an upstream is held to a schema while it answers. */
export interface SchemaFormat {
	/** OpenAI's `response_format`, which every family knows or translates. */
	readonly responseFormat: Readonly<Record<string, unknown>>;
	/** What the schema counts, which providers read as a part of the prompt. */
	readonly tokens: number;
}

/** Upstreams that are as good as one another, so that each request begins with any of them. */
export interface EqualUpstreams {
	/** By upstream, above zero. */
	readonly weights: Readonly<Record<string, number>>;
	/** By their weights alone, or by how many calls are under way at each for its weight. */
	readonly by: 'weight' | 'load';
}

/** After how long a second upstream is asked beside the first. */
export type Hedge =
	| { readonly afterMs: number }
	/** Longer than so large a share, in (0, 1), of its latest answers took, once that many are known. */
	| { readonly afterQuantile: number; readonly samplesMin: number };

/** A contract with defaults filled in and nothing left to decide at request time. Frozen all the way down. */
export interface Contract {
	readonly feature: string;
	readonly description: string;
	readonly owner: string;
	/** For people who try the feature out; null: none. */
	readonly exampleQuestion: string | null;
	/** The highest that its requests have. */
	readonly priority: Priority;
	readonly objective: {
		readonly latencyMsP95: number;
		readonly timeToFirstTokenMsP95: number | null;
		/** In (0, 1]. */
		readonly availability: number;
	};
	readonly budget: {
		readonly tokensInMax: number;
		readonly tokensOutMax: number;
		/** Null: no cap. */
		readonly costMicrosMax: number | null;
		readonly deadlineMs: number;
		/** The most that one step may take, as a share of the deadline in (0, 1]. */
		readonly stepShare: { readonly retrieve: number; readonly generate: number };
	};
	/** Null: the feature retrieves nothing. */
	readonly retrieval: {
		readonly collection: string;
		readonly k: number;
		/** Null: as the collection is configured. */
		readonly mode: SearchMode | null;
		/** What passages must be, all of it. */
		readonly filters: readonly BoundCondition[];
		/** Fewer hits than this, those whose score is below `scoreMin` not counted, are an empty retrieval. */
		readonly hitsMin: number;
		readonly scoreMin: number;
		/** In the place of `scoreMin` for BM25 scores, where BM25 answers alone although more was wanted. */
		readonly lexicalScoreMin: number;
		/** What is tried in order when there are too few, before `onFailure.empty_retrieval` ends it. */
		readonly floor: readonly FloorStep[];
		/** What is expected of known-answer queries, in (0, 1]; null: nothing. */
		readonly recallAtK: number | null;
		/** The most tokens of passages that go into the prompt. */
		readonly tokensMax: number;
		readonly overTokensMax: 'cut' | 'summarise';
		/** Who rewrites and summarises; null: nobody, since neither is wanted, or who would is switched off. */
		readonly helper: string | null;
	} | null;
	/** Name of the prompt under `prompts/`, and its version when pinned. */
	readonly prompt: { readonly name: string; readonly version: string | null };
	readonly models: {
		/** Upstream names in order of preference: the first available one is asked first. At least one. */
		readonly route: readonly string[];
		/** Other routes by name, from which a flag chooses; each without what is switched off, and maybe empty. */
		readonly routes: Readonly<Record<string, readonly string[]>>;
		/** Upstreams that change places among themselves in every route; none stands in two of them. */
		readonly equals: readonly EqualUpstreams[];
		readonly escalateTo: string | null;
		/** Sent with every call, e.g. `temperature`. */
		readonly parameters: Readonly<Record<string, unknown>>;
		/** Parameters that a client may set on top. */
		readonly clientParameters: readonly string[];
		/** Attempts at upstreams for one request, the first included. */
		readonly attemptsMax: number;
		/** Whether clients are told what models think, which no guard judges. */
		readonly thinking: 'drop' | 'pass';
		/** When a second attempt is made beside one that is slow; null: never. */
		readonly hedge: Hedge | null;
	};
	readonly guards: {
		/** JSON Schema (2020-12) that the answer must satisfy as JSON; null: free text. */
		readonly outputSchema: Readonly<Record<string, unknown>> | null;
		readonly reading: SchemaReading;
		/** How an answer of that schema is asked for, and that it may be repaired; null: it is only checked. */
		readonly structured: {
			/** By upstream. */
			readonly formats: Readonly<Record<string, SchemaFormat>>;
			/** What the prompt says, for upstreams that no format holds; null: all are held. */
			readonly instruction: string | null;
		} | null;
		/** `required`: at least one valid `[n]`, none invalid; `valid`: none invalid; `off`. */
		readonly citations: 'required' | 'valid' | 'off';
		/** An answer of exactly this text says "I do not know", and needs no citation; null: no text does. */
		readonly abstention: string | null;
		/** The most characters an answer may have. */
		readonly answerCharsMax: number;
	};
	/**
	 * What a streaming client is promised. `immediate`: tokens as they come, guards judge after the fact and a failed
	 * one ends the stream with an error; `held`: so many characters are kept back and looked at before they are sent;
	 * `buffered`: nothing is sent before the guards passed.
	 */
	readonly stream: 'immediate' | 'held' | 'buffered';
	/** Of a `held` stream. */
	readonly streamWindowChars: number;
	readonly onFailure: Readonly<Record<FailureSituation, FailureAction>>;
	/** Names of the flags that decide something; null: none does. */
	readonly flags: {
		readonly enabled: string | null;
		readonly route: string | null;
		readonly promptVersion: string | null;
		/** By variable of the prompt. */
		readonly variables: Readonly<Record<string, string>>;
	} | null;
}

/** A feature's whole content, frozen under one hash. */
export interface Release {
	readonly contract: Contract;
	/**
	 * SHA-256, hex, over every byte that can change an answer: the feature's files with their relative paths (contract,
	 * prompts with partials, schemas), and the settings of the collection and the upstreams that it names (secrets
	 * excluded). Stable across machines.
	 */
	readonly hash: string;
	/** First 12 hex digits, for people. */
	readonly id: string;
}
