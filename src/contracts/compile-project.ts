import { isAbsolute, join } from 'node:path';
import type { Problem } from '../spec/problem.ts';
import { admissionOf } from './compile-admission.ts';
import { declaredTenants, limitTable } from './compile-limits.ts';
import { type Environment, type Reference, type Resolved, resolveReferences, SECRET_FIELDS } from './environment.ts';
import type { FlagFacts } from './flag.ts';
import { deepFreeze, frozenMap } from './freeze.ts';
import { issuerOf } from './issuer.ts';
import { usdToMicros } from './money.ts';
import type { CollectionConfig, EmbedderConfig, ProjectConfig, SourceConfig, UpstreamConfig } from './project.ts';
import { checkProject } from './project-checks.ts';
import {
	DATA_DIR,
	FEATURES_DIR,
	projectJsonSchema,
	projectSchema,
	type RawCollection,
	type RawEmbedder,
	type RawProject,
	type RawUpstream,
} from './project-schema.ts';
import { isMapping, valueAt } from './schema-node.ts';
import { breakerOf, retriesOf } from './storm-schema.ts';
import { tidy, validate } from './validation.ts';
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
 * @param secretFiles texts of the files that `secretFilesOf` names; null where one could not be read.
 */
export function compileProject(
	document: YamlDocument,
	from: { dir: string; env: Environment; secretFiles: ReadonlyMap<string, string | null> },
): CompiledProject {
	const { dir, env, secretFiles } = from;
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
	]);
	const config =
		value && all.length === 0
			? deepFreeze({
					dir,
					dataDir: absolute(dir, value.data_dir),
					featuresDir: absolute(dir, value.features_dir),
					server: {
						host: value.server.host,
						port: value.server.port,
						bodyBytesMax: value.server.body_bytes_max,
						headerBytesMax: value.server.header_bytes_max,
						drainMs: value.server.drain_ms,
					},
					admission: admissionOf(value),
					identity: { jwt: Object.entries(value.identity.jwt).map(([name, raw]) => issuerOf(name, raw)) },
					telemetry: { retentionDays: value.telemetry.retention_days },
					bare: { deadlineMs: value.bare.deadline_ms, attemptsMax: value.bare.attempts_max },
					retries: retriesOf(value.retries),
					...limitsOf(document, value),
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
					flags: flagSettingsOf(value.flags),
					upstreams: compiledMap(value.upstreams, (name, raw) =>
						upstreamOf(name, raw, switchOf(name, resolved, available)),
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

/** What says where an upstream is and how to enter. Its model, say, may be chosen for a server that is not there. */
const SWITCHES = new Set<unknown>(['api_key', 'base_url']);

/** Every upstream by name: false when it is optional and none of the variables of its key and address is set. */
function availability({ tree, references }: Resolved): ReadonlyMap<string, boolean> {
	const set = new Set<unknown>();
	for (const { path, state } of references.values()) {
		if (path[0] === 'upstreams' && SWITCHES.has(path[2]) && state === 'set') set.add(path[1]);
	}
	const upstreams = Object.entries(membersOf(tree, 'upstreams'));
	return new Map(upstreams.map(([name, raw]) => [name, valueAt(raw, ['optional']) !== true || set.has(name)]));
}

/** An upstream that nothing will call may lack what its unset variables would have said. */
function fillUnavailable({ tree, references }: Resolved, available: ReadonlyMap<string, boolean>): void {
	for (const { path, state } of references.values()) {
		const [section, name, field] = path;
		if (section !== 'upstreams' || state !== 'unset' || available.get(String(name)) !== false) continue;
		const upstream = valueAt(tree, path.slice(0, 2));
		if (isMapping(upstream) && (field === 'base_url' || field === 'model'))
			Object.assign(upstream, { [field]: 'unset' });
	}
}

function describeSource(reference: Reference | undefined, path: FieldPath): string | null {
	if (reference?.state === 'set') {
		return reference.kind === 'env' ? `the environment variable ${reference.name}` : `the file ${reference.name}`;
	}
	return SECRET_FIELDS.has(String(path.at(-1))) ? 'a literal' : null;
}

/** Whether an upstream is on, and what would switch it on. */
function switchOf(name: string, { references }: Resolved, available: ReadonlyMap<string, boolean>) {
	const own = [...references.values()].filter(
		({ path, kind }) => path[0] === 'upstreams' && path[1] === name && SWITCHES.has(path[2]) && kind === 'env',
	);
	// The key first: it is what most people have to set.
	const [keys, others] = [own.filter(isKey), own.filter((reference) => !isKey(reference))];
	const variables = new Set([...keys, ...others].map((reference) => reference.name));
	return { available: available.get(name) ?? true, switchedOnBy: [...variables] };
}

function isKey({ path }: Reference): boolean {
	return SECRET_FIELDS.has(String(path.at(-1)));
}

function upstreamOf(
	name: string,
	raw: RawUpstream,
	power: Pick<UpstreamConfig, 'available' | 'switchedOnBy'>,
): UpstreamConfig {
	const price = raw.price;
	return {
		name,
		provider: name.slice(0, name.indexOf('/')),
		model: raw.model,
		family: raw.family,
		...power,
		contextTokensMax: raw.context_tokens_max,
		tokensOutMax: raw.tokens_out_max,
		tokensOutParameter: raw.tokens_out_parameter,
		tokenizer: raw.tokenizer,
		timeouts: {
			connectMs: raw.timeouts.connect_ms,
			firstTokenMs: raw.timeouts.first_token_ms,
			idleMs: raw.timeouts.idle_ms,
			totalMs: raw.timeouts.total_ms,
		},
		sideEffects: raw.side_effects,
		price: price && {
			version: price.version,
			inputMicrosPerMillion: micros(price.input_usd_per_million),
			cachedInputMicrosPerMillion: micros(price.cached_input_usd_per_million ?? price.input_usd_per_million),
			outputMicrosPerMillion: micros(price.output_usd_per_million),
		},
		baseUrl: raw.family === 'extractive' || raw.base_url === 'unset' ? null : withoutSlash(raw.base_url),
		apiKey: raw.family === 'extractive' ? null : raw.api_key,
		connectionsMax: raw.family === 'extractive' ? 0 : raw.connections_max,
		breaker: breakerOf(raw.breaker),
	};
}

function embedderOf(name: string, raw: RawEmbedder, dir: string): EmbedderConfig {
	if (raw.family === 'builtin') return { name, family: raw.family, dimensions: raw.dimensions };
	const { dimensions, query_prefix: queryPrefix, document_prefix: documentPrefix } = raw;
	if (raw.family === 'local') {
		const model = isAbsolute(raw.model) || /^\.\.?[/\\]/.test(raw.model) ? absolute(dir, raw.model) : raw.model;
		return { name, family: raw.family, model, dimensions, queryPrefix, documentPrefix };
	}
	return {
		name,
		family: raw.family,
		baseUrl: withoutSlash(raw.base_url),
		apiKey: raw.api_key,
		model: raw.model,
		dimensions,
		queryPrefix,
		documentPrefix,
		batchMax: raw.batch_max,
		timeoutMs: raw.timeout_ms,
	};
}

interface CollectionOrigin {
	readonly dir: string;
	readonly embedders: Readonly<Record<string, { readonly family: string }>>;
}

/** The built-in embedder's vectors made every ranking worse that was measured (docs/concepts/retrieval.md). */
function defaultVectorWeight(embedder: string | null, { embedders }: CollectionOrigin): number {
	return embedder === null || embedders[embedder]?.family === 'builtin' ? 0 : 0.5;
}

function collectionOf(name: string, raw: RawCollection, from: CollectionOrigin): CollectionConfig {
	return {
		name,
		sources: Object.entries(raw.sources).map(([source, settings]) => sourceOf(source, settings, from.dir)),
		chunker: { kind: raw.chunker.kind, tokensMax: raw.chunker.tokens_max, tokensMin: raw.chunker.tokens_min },
		embedder: raw.embedder,
		search: {
			fusion: raw.search.fusion,
			vectorWeight: raw.search.vector_weight ?? defaultVectorWeight(raw.embedder, from),
			rrfK: raw.search.rrf_k,
			candidates: raw.search.candidates,
			timeoutMs: raw.search.timeout_ms,
		},
	};
}

function sourceOf(name: string, raw: RawCollection['sources'][string], dir: string): SourceConfig {
	const path = absolute(dir, raw.path);
	if (raw.kind === 'folder') {
		return { name, kind: raw.kind, path, include: raw.include, exclude: raw.exclude, fileBytesMax: raw.file_bytes_max };
	}
	return {
		name,
		kind: raw.kind,
		path,
		idField: raw.id_field,
		textField: raw.text_field,
		titleField: raw.title_field,
		lineBytesMax: raw.line_bytes_max,
	};
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

function micros(usd: number): number {
	const exact = usdToMicros(usd);
	if (exact === null) throw new RangeError(`${usd} US dollars passed the schema but have no exact micro-dollars`);
	return exact;
}

function absolute(dir: string, path: string): string {
	return isAbsolute(path) ? path : join(dir, path);
}

function withoutSlash(url: string): string {
	return url.replace(/\/+$/, '');
}
