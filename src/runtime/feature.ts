import type { AdmissionConfig, LimitTable, RetrySettings } from '../contracts/project.ts';
import type { Release } from '../contracts/release.ts';
import type { Guard } from '../spec/guard.ts';
import type { Model } from '../spec/model.ts';
import type { Prompt } from '../spec/prompt.ts';
import type { BreakerTable } from './breakers.ts';

/** A release with its parts resolved: everything one request needs, nothing left to look up. */
export interface Feature {
	readonly release: Release;
	readonly prompt: Prompt;
	readonly guards: readonly Guard[];
	/** Available upstreams in order of preference; at least one. */
	readonly route: readonly Model[];
	readonly escalateTo: Model | null;
}

/** What is served at one instant. A reload swaps the whole snapshot; a request keeps the one it began with. */
export interface Snapshot {
	readonly features: ReadonlyMap<string, Feature>;
	/** Every available upstream by name, for requests that name one as their model. */
	readonly upstreams: ReadonlyMap<string, Model>;
	/** Optional upstreams that are off, with the environment variables that would switch them on. */
	readonly switchedOff: ReadonlyMap<string, readonly string[]>;
	readonly bare: { readonly deadlineMs: number; readonly attemptsMax: number };
	readonly admission: AdmissionConfig;
	readonly limits: LimitTable;
	readonly retries: RetrySettings;
	readonly breakers: BreakerTable;
	/** The longest deadline that a request of this snapshot may have, milliseconds. */
	readonly requestMsMax: number;
}
