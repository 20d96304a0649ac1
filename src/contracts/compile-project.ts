import { isAbsolute, join } from 'node:path';
import type { Problem } from '../spec/problem.ts';
import { alertsOf } from './alert-config.ts';
import { admissionOf } from './compile-admission.ts';
import { collectionOf } from './compile-collection.ts';
import { embedderOf } from './compile-embedder.ts';
import { declaredTenants, limitTable } from './compile-limits.ts';
import {
	type Availability,
	availability,
	fillUnavailable,
	pricedBy,
	switchOf,
	upstreamOf,
} from './compile-upstream.ts';
import { type Environment, type Reference, resolveReferences, SECRET_FIELDS } from './environment.ts';
import type { FlagFacts } from './flag.ts';
import { deepFreeze, frozenMap } from './freeze.ts';
import { imagesOf } from './images-schema.ts';
import { indexStoreOf } from './index-store-schema.ts';
import { issuerOf } from './issuer.ts';
import { withPresets } from './presets.ts';
import type { PriceList } from './price.ts';
import type { ProjectConfig } from './project.ts';
import { checkProject } from './project-checks.ts';
import { DATA_DIR, FEATURES_DIR, projectJsonSchema, projectSchema, type RawProject } from './project-schema.ts';
import { isMapping, valueAt } from './schema-node.ts';
import { retriesOf } from './storm-schema.ts';
import { problemAt, tidy, validate } from './validation.ts';
import { type FieldPath, pathKey, type YamlDocument } from './yaml-document.ts';

/** What contracts may refer to. Known even when other parts of plimsoll.yaml are wrong. */
export interface ProjectNames {
	/** Upstream names; false for an optional one that is not available. */
	readonly upstreams: ReadonlyMap<string, boolean>;
	readonly collections: readonly string[];
	/** Null when another provider has them, or flags.yaml is too broken to tell. */
	readonly flags: ReadonlyMap<string, FlagFacts> | null;
}

export interface CompiledProject {
	/** Null when there are problems. */
	readonly config: ProjectConfig | null;
	/** Null when the file is too broken to tell. */
	readonly names: ProjectNames | null;
	/** Where features are looked for, absolute; also when other parts of the file are wrong. */
	readonly featuresDir: string;
	/** Where a running server keeps its data, absolute; also when other parts of the file are wrong. */
	readonly dataDir: string;
	/** Whether flags come from a provider of the configuration and not from flags.yaml. */
	readonly flagProvider: boolean;
	readonly problems: readonly Problem[];
}

/**
 * Compiles plimsoll.yaml.
 * @param dir absolute folder of the file.
 * @param prices what the project's list of prices says, null where there is none; left out, nobody asks for prices.
 * @param secretFiles texts of the files that `secretFilesOf` names; null where one could not be read.
 */
export function compileProject(
	written: YamlDocument,
	from: {
		dir: string;
		env: Environment;
		secretFiles: ReadonlyMap<string, string | null>;
		prices?: { readonly list: PriceList | null } | null;
	},
): CompiledProject {
	const { dir, env, secretFiles, prices = null } = from;
	const priceList = prices?.list ?? null;
	const document = { ...written, value: withPresets(written.value) };
	if (!document.readable) {
		const dirs = { featuresDir: join(dir, FEATURES_DIR), dataDir: join(dir, DATA_DIR) };
		return { config: null, names: null, ...dirs, flagProvider: false, problems: tidy(document.problems) };
	}
	const resolved = resolveReferences(document, projectJsonSchema, { env, files: secretFiles });
	const available = availability(resolved);
	fillUnavailable(resolved, available);
	const sourceOf = (path: FieldPath) => describeSource(resolved.references.get(pathKey(path)), path);
	const subject = { document, tree: resolved.tree, sourceOf };
	const { value, problems } = validate({ zod: projectSchema, json: projectJsonSchema }, subject);
	const all = tidy([
		...document.problems,
		...resolved.problems,
		...checkProject({ document, resolved, available }),
		...problems,
		...(prices && value?.prices.unknown === 'refuse'
			? [
					...unpriced(document, value.upstreams, { available, priceList }),
					...unpricedEmbedders(document, value.embedders),
				]
			: []),
	]);
	const config =
		value && all.length === 0
			? deepFreeze({
					...settingsOf(dir, value),
					...limitsOf(document, value),
					upstreams: compiledMap(value.upstreams, (name, raw) =>
						upstreamOf(name, raw, { ...switchOf(name, resolved, available), priceList }),
					),
					embedders: compiledMap(value.embedders, (name, raw) => embedderOf(name, raw, dir)),
					collections: compiledMap(value.collections, (name, raw) =>
						collectionOf(name, raw, { dir, embedders: value.embedders }),
					),
				})
			: null;
	const folder = (key: string, fallback: string) => {
		const value = valueAt(resolved.tree, [key]);
		return absolute(dir, typeof value === 'string' && value ? value : fallback);
	};
	return {
		config,
		names: {
			upstreams: available,
			collections: Object.keys(membersOf(resolved.tree, 'collections')),
			flags: null,
		},
		flagProvider: valueAt(resolved.tree, ['flags', 'provider']) != null,
		featuresDir: folder('features_dir', FEATURES_DIR),
		dataDir: folder('data_dir', DATA_DIR),
		problems: all,
	};
}

const DAY_MS = 86_400_000;

/** What of a project stands by itself. */
function settingsOf(dir: string, value: RawProject) {
	return {
		dir,
		dataDir: absolute(dir, value.data_dir),
		featuresDir: absolute(dir, value.features_dir),
		server: {
			host: value.server.host,
			port: value.server.port,
			bodyBytesMax: value.server.body_bytes_max,
			headerBytesMax: value.server.header_bytes_max,
			drainMs: value.server.drain_ms,
			metrics: value.server.metrics,
		},
		alerts: alertsOf(value.alerts),
		admission: admissionOf(value),
		identity: {
			jwt: Object.entries(value.identity.jwt).map(([name, raw]) => issuerOf(name, raw)),
			sessionSecret: value.identity.session_secret,
			sessionLifeMs: value.identity.session_life_s * 1_000,
		},
		telemetry: {
			retentionDays: value.telemetry.retention_days,
			metricTenantsMax: value.telemetry.metric_tenants_max,
			metricPartitionsMax: value.telemetry.metric_partitions_max,
		},
		feedback: {
			retentionMs: value.feedback.retention_days * DAY_MS,
			textRetentionMs: value.feedback.text_retention_days * DAY_MS,
		},
		prices: {
			file: absolute(dir, value.prices.file),
			unknown: value.prices.unknown,
			ageDaysMax: value.prices.age_days_max,
		},
		bare: {
			deadlineMs: value.bare.deadline_ms,
			attemptsMax: value.bare.attempts_max,
			images: imagesOf(value.bare.images),
		},
		retries: retriesOf(value.retries),
		sharedState: {
			redisUrl: value.shared_state.redis,
			onFailure: value.shared_state.on_failure,
			localShare: value.shared_state.local_share,
			timeoutMs: value.shared_state.timeout_ms,
		},
		idempotency: {
			retentionMs: value.idempotency.retention_hours * 3_600_000,
			responseBytesMax: value.idempotency.response_bytes_max,
			recordsMax: value.idempotency.records_max,
			bytesMax: value.idempotency.bytes_max,
			onFailure: value.idempotency.on_failure,
		},
		indexStore: indexStoreOf(value.index_store),
		flags: flagSettingsOf(value.flags),
	};
}

function limitsOf(document: YamlDocument, value: RawProject): Pick<ProjectConfig, 'limits' | 'declared'> {
	const declared = declaredTenants(document, value);
	return { limits: limitTable(declared), declared };
}

function flagSettingsOf(raw: RawProject['flags']): ProjectConfig['flags'] {
	const { provider } = raw;
	return {
		provider: provider && { module: provider.module, exportName: provider.export, options: provider.options },
		hmacSecret: raw.hmac_secret,
		timeoutMs: raw.timeout_ms,
		readyTimeoutMs: raw.ready_timeout_ms,
	};
}

function describeSource(reference: Reference | undefined, path: FieldPath): string | null {
	if (reference?.state === 'set') {
		return reference.kind === 'env' ? `the environment variable ${reference.name}` : `the file ${reference.name}`;
	}
	return SECRET_FIELDS.has(String(path.at(-1))) ? 'a literal' : null;
}

/** Upstreams that can be called and have no price, where that is refused. */
function unpriced(
	document: YamlDocument,
	upstreams: RawProject['upstreams'],
	{ available, priceList }: { available: Availability; priceList: PriceList | null },
): Problem[] {
	return Object.entries(upstreams).flatMap(([name, raw]) => {
		if (available.get(name) === false || pricedBy(name, raw, priceList).price !== null) return [];
		const message = `has no price, and no list has one of ${raw.model}`;
		const hint = 'give it one, or plimsoll prices import <file>; prices.unknown: estimate reckons it as dear';
		const path = ['upstreams', name];
		return [{ ...problemAt(document, path, { message, hint }), ...document.keyPlace(path) }];
	});
}

/** The same of embedders, which no list has. */
function unpricedEmbedders(document: YamlDocument, embedders: RawProject['embedders']): Problem[] {
	return Object.entries(embedders).flatMap(([name, raw]) => {
		if (raw.family === 'builtin' || raw.family === 'local' || raw.price !== null) return [];
		const what = { message: 'has no price', hint: 'give it one, or write price: {free: true}' };
		const path = ['embedders', name];
		return [{ ...problemAt(document, path, what), ...document.keyPlace(path) }];
	});
}

function membersOf(tree: unknown, key: string): Readonly<Record<string, unknown>> {
	const members = valueAt(tree, [key]);
	return isMapping(members) ? members : {};
}

function compiledMap<R, C>(
	raw: Readonly<Record<string, R>>,
	compile: (name: string, raw: R) => C,
): ReadonlyMap<string, C> {
	return frozenMap(Object.entries(raw).map(([name, value]) => [name, deepFreeze(compile(name, value))]));
}

function absolute(dir: string, path: string): string {
	return isAbsolute(path) ? path : join(dir, path);
}
