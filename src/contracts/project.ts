import type { ImageRules, Price, Upstream } from '../spec/model.ts';
import type { Scope } from '../spec/records.ts';
import type { LimitName, StateHealth } from '../spec/shared-state.ts';
import type { LimitSettings, OrganisationSettings, TenantSettings } from '../spec/tenants.ts';
import type { AlertConfig } from './alert-config.ts';
import type { BreakerSettings } from './breaker-settings.ts';
import type { CloudFamily } from './cloud-family.ts';
import type { CollectionConfig } from './collection.ts';
import type { EmbedderConfig } from './embedder.ts';
import type { FlagDefinition } from './flag.ts';
import type { IndexStoreConfig } from './index-store.ts';
import type { Continuation } from './presets.ts';
import type { PublicKeySet } from './public-keys.ts';
import type { Release } from './release.ts';
import type { SchemaDialectName } from './schema-dialect.ts';

/** The name of a project's first file. */
export const PROJECT_FILE = 'plimsoll.yaml';

/** Beside it, where the project has flags. */
export const FLAGS_FILE = 'flags.yaml';

/** `plimsoll.yaml` with defaults filled in, environment references resolved and paths absolute. Frozen. */
export interface ProjectConfig {
	/** Absolute folder of plimsoll.yaml. */
	readonly dir: string;
	readonly dataDir: string;
	readonly featuresDir: string;
	readonly server: {
		readonly host: string;
		readonly port: number;
		readonly bodyBytesMax: number;
		readonly headerBytesMax: number;
		/** How long a stop waits for running requests. */
		readonly drainMs: number;
		/** Who may read metrics. */
		readonly metrics: 'key' | 'open';
	};
	readonly alerts: AlertConfig;
	readonly admission: AdmissionConfig;
	/** Issuers whose tokens are accepted beside keys. */
	readonly identity: {
		readonly jwt: readonly IssuerConfig[];
		/** Null: one of the data folder. Never printed. */
		readonly sessionSecret: string | null;
		readonly sessionLifeMs: number;
	};
	readonly feedback: FeedbackPolicy;
	readonly telemetry: {
		readonly retentionDays: number;
		readonly metricTenantsMax: number;
		/** Of each collection. */
		readonly metricPartitionsMax: number;
	};
	readonly prices: {
		/** Absolute. */
		readonly file: string;
		readonly unknown: 'estimate' | 'refuse';
		readonly ageDaysMax: number;
	};
	/** For requests that name a bare upstream as their model. */
	readonly bare: BareSettings;
	/** Limits as the file alone says them. */
	readonly limits: LimitTable;
	readonly declared: DeclaredTenants;
	readonly retries: RetrySettings;
	readonly sharedState: {
		/** Null: the counters live in this process. May hold a password: never printed. */
		readonly redisUrl: string | null;
		readonly onFailure: NonNullable<StateHealth['onFailure']>;
		/** In (0, 1]. */
		readonly localShare: number;
		readonly timeoutMs: number;
	};
	readonly idempotency: {
		readonly retentionMs: number;
		readonly responseBytesMax: number;
		/** Of each tenant; so is the next. */
		readonly recordsMax: number;
		readonly bytesMax: number;
		readonly onFailure: 'refuse' | 'run';
	};
	readonly indexStore: IndexStoreConfig;
	readonly flags: {
		/** Null: flags stand in flags.yaml. */
		readonly provider: {
			readonly module: string;
			readonly exportName: string;
			readonly options: Readonly<Record<string, unknown>> | null;
		} | null;
		/** Null: a secret of the data folder. Never printed. */
		readonly hmacSecret: string | null;
		/** For all flags of a request together. */
		readonly timeoutMs: number;
		readonly readyTimeoutMs: number;
	};
	readonly upstreams: ReadonlyMap<string, UpstreamConfig>;
	readonly embedders: ReadonlyMap<string, EmbedderConfig>;
	readonly collections: ReadonlyMap<string, CollectionConfig>;
}

/** What holds for requests that name a bare upstream as their model. */
export interface BareSettings {
	readonly deadlineMs: number;
	readonly attemptsMax: number;
	readonly images: ImageRules;
}

/** How long ratings are kept. */
export interface FeedbackPolicy {
	readonly retentionMs: number;
	/** Of comments, questions and corrected answers; 0: they are never stored. */
	readonly textRetentionMs: number;
}

/** Who signs tokens, and what they can say. */
export interface IssuerConfig {
	readonly name: string;
	readonly issuer: string;
	readonly audience: string;
	/** Never empty; asymmetric ones with public keys, symmetric ones with a secret. */
	readonly algorithms: readonly string[];
	readonly keys:
		| { readonly kind: 'jwks'; readonly url: string }
		| { readonly kind: 'file'; readonly set: PublicKeySet }
		| { readonly kind: 'secret'; readonly secret: string };
	/** Null: the claim says it. */
	readonly tenant: string | null;
	readonly tenantsAllowed: readonly string[] | null;
	readonly scopesAllowed: readonly Scope[];
	readonly featuresAllowed: readonly string[] | null;
	readonly claims: {
		readonly tenant: string;
		readonly user: string;
		readonly scopes: string;
		readonly features: string | null;
		readonly groups: string | null;
		readonly scopePrefix: string;
	};
	readonly clockSkewS: number;
	readonly ageMaxS: number;
}

/** The limits that are set; costs in micro-dollars. */
export type LimitSet = readonly { readonly limit: LimitName; readonly max: number }[];

/** All limits of one tenant: they hold at once, each over its own part of the tenant. */
export interface TenantLimits {
	/** Whose limits hold over all its tenants together; null: the tenant stands by itself. */
	readonly organisation: string | null;
	/** Nothing of it is let in. */
	readonly suspended: boolean;
	readonly tenant: LimitSet;
	/** By a key's id or name. */
	readonly keys: Readonly<Record<string, LimitSet>>;
	readonly features: Readonly<Record<string, LimitSet>>;
	readonly eachUser: LimitSet;
	/** Its share of what is free, against those of the other tenants that wait. */
	readonly weight: number;
	/** Keys, by id or name, all of whose requests are batch work. */
	readonly batchKeys: readonly string[];
}

/** How many requests run, and how those wait that cannot yet. */
export interface AdmissionConfig {
	readonly concurrentRequestsMax: number;
	/** Below which the adaptive limit never falls; null: there is none, and `concurrentRequestsMax` alone holds. */
	readonly adaptiveMin: number | null;
	/** Of one tenant; 0: nobody waits. */
	readonly queuedPerTenantMax: number;
	readonly queuedMax: number;
	/** Bodies, answers that are held back and what clients do not take, together. */
	readonly bufferedBytesMax: number;
}

export interface LimitTable {
	/** Of tenants that have no entry of their own. */
	readonly standard: TenantLimits;
	readonly tenants: Readonly<Record<string, TenantLimits>>;
	readonly organisations: Readonly<Record<string, LimitSet>>;
}

/** Where one tenant or organisation is declared. */
export interface DeclaredLines {
	readonly entry: number;
	/** By the field's name, such as `limits.requests_per_minute`. */
	readonly fields: Readonly<Record<string, number>>;
}

/** What plimsoll.yaml says about tenants and organisations, as written: live settings are merged with it. */
export interface DeclaredTenants {
	/** Of every tenant. */
	readonly limits: LimitSettings;
	readonly tenants: Readonly<Record<string, TenantSettings>>;
	readonly organisations: Readonly<Record<string, OrganisationSettings>>;
	/** The lines on which the file declares things. */
	readonly lines: Readonly<Record<'tenants' | 'organisations', Readonly<Record<string, DeclaredLines>>>>;
}

/** How much retries may add to what requests ask for by themselves. */
export interface RetrySettings {
	/** Retries that each request earns. */
	readonly ratio: number;
	/** Retries that an upstream's budget begins with, so that a quiet system can retry at all. */
	readonly floor: number;
	/** The same for a tenant's. */
	readonly tenantFloor: number;
	/** Tenants whose budgets are kept; of more, the one that was silent longest begins anew. */
	readonly tenantsMax: number;
}

interface UpstreamBase extends Upstream {
	/**
	 * False: `optional: true`, and none of the environment variables of its key and address is set. It is left out of
	 * every route.
	 */
	readonly available: boolean;
	/** The environment variables of which any one, when set, makes an optional upstream available. */
	readonly switchedOnBy: readonly string[];
	/** Without a trailing slash; null for in-process families. */
	readonly baseUrl: string | null;
	/** The secret itself, resolved from the environment or a file; null when none is needed. Never printed or hashed. */
	readonly apiKey: string | null;
	readonly connectionsMax: number;
	readonly price: Price | null;
	/** Who says so: the upstream itself in plimsoll.yaml, or the list of prices. */
	readonly priceFrom: 'project' | 'list' | null;
	/** Null: never left alone by itself. */
	readonly breaker: BreakerSettings | null;
	/** What of JSON Schema it can be held to while it answers; null: nothing. */
	readonly schemaDialect: SchemaDialectName | null;
	/** What only this provider knows, sent with every call. */
	readonly providerOptions: Readonly<Record<string, unknown>>;
}

/** What an endpoint's dialect of OpenAI's wire format is like. */
export interface OpenAiWire {
	/** Below the base URL. */
	readonly chatPath: string;
	readonly keyHeader: 'authorization' | 'api-key';
	readonly streamUsage: boolean;
	readonly jsonSchema: boolean;
	/** How it is asked to go on with the last message. */
	readonly continuation: Continuation;
	readonly refused: readonly string[];
	readonly renamed: Readonly<Record<string, string>>;
}

export type UpstreamConfig = UpstreamBase &
	(
		| { readonly family: 'openai-compatible'; readonly wire: OpenAiWire }
		| { readonly family: 'extractive' }
		| { readonly family: 'anthropic' | 'google' | 'cohere' }
		| CloudFamily
	);

/** What of a project says which flags there are. */
export interface LoadedFlags extends Pick<Project, 'flags'> {
	readonly config: Pick<ProjectConfig, 'dir' | 'flags'>;
}

/** A loaded project: configuration and every feature's release. */
export interface Project {
	readonly config: ProjectConfig;
	readonly releases: ReadonlyMap<string, Release>;
	/** Of flags.yaml; empty where another provider has the flags. */
	readonly flags: ReadonlyMap<string, FlagDefinition>;
}
