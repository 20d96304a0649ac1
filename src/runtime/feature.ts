import type { AdmissionConfig, BareSettings, LimitTable, RetrySettings } from '../contracts/project.ts';
import type { Release } from '../contracts/release.ts';
import type { BreakerTable } from '../policy/breakers.ts';
import type { FlagUse } from '../policy/flags.ts';
import type { FlagSource } from '../spec/flags.ts';
import type { Guard, PartCheck } from '../spec/guard.ts';
import type { Model } from '../spec/model.ts';
import type { Prompt } from '../spec/prompt.ts';
import type { EmbeddingPrice } from '../spec/retrieval.ts';

/** A release with its parts resolved: everything one request needs, nothing left to look up. */
export interface Feature {
	readonly release: Release;
	readonly prompt: Prompt;
	readonly guards: readonly Guard[];
	/** For an answer of JSON that clients get while it is made; null: they get none before its end. */
	readonly partCheck: PartCheck | null;
	/** Available upstreams in order of preference; at least one. */
	readonly route: readonly Model[];
	readonly escalateTo: Model | null;
	/** Who rewrites queries and summarises passages; null: nobody. */
	readonly helper: Model | null;
	/** Null: no flag decides anything. */
	readonly flags: FeatureFlags | null;
}

/** What flags decide for a feature, and what they choose between. */
export interface FeatureFlags {
	readonly source: FlagSource;
	readonly uses: readonly FlagUse[];
	/** By the name that a flag gives; each with at least one upstream. */
	readonly routes: ReadonlyMap<string, readonly Model[]>;
	/** By version. */
	readonly prompts: ReadonlyMap<string, Prompt>;
}

/** An embedder as clients can ask for it. */
export interface EmbedderTarget {
	readonly name: string;
	/** The trace's `provider`. */
	readonly provider: string;
	/** The provider's own name of the model. */
	readonly model: string;
	readonly dimensions: number;
	/** Null: unknown. */
	readonly price: EmbeddingPrice | null;
}

/** What is served at one instant. A reload swaps the whole snapshot; a request keeps the one it began with. */
export interface Snapshot {
	readonly features: ReadonlyMap<string, Feature>;
	/** Every available upstream by name, for requests that name one as their model. */
	readonly upstreams: ReadonlyMap<string, Model>;
	/** Optional upstreams that are off, with the environment variables that would switch them on. */
	readonly switchedOff: ReadonlyMap<string, readonly string[]>;
	/** What clients can have texts embedded by: by its name, and by each of its aliases. */
	readonly embedders: ReadonlyMap<string, EmbedderTarget>;
	readonly bare: BareSettings;
	readonly admission: AdmissionConfig;
	readonly limits: LimitTable;
	readonly retries: RetrySettings;
	readonly breakers: BreakerTable;
	/** The longest deadline that a request of this snapshot may have, milliseconds. */
	readonly requestMsMax: number;
}
