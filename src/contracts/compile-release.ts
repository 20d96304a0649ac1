import { isAbsolute, relative, sep } from 'node:path';
import { canonicalJson } from '../base/canonical-json.ts';
import { sha256Of } from '../base/hash.ts';
import type { Problem } from '../spec/problem.ts';
import { HEADER_DEFAULTS } from './chunker-schema.ts';
import type { ChunkerConfig, CollectionConfig, SourceConfig } from './collection.ts';
import { compileContract } from './compile-contract.ts';
import type { CompiledProject } from './compile-project.ts';
import { checkContract } from './contract-checks.ts';
import { contractJsonSchema, contractSchema, type RawContract } from './contract-schema.ts';
import type { EmbedderConfig } from './embedder.ts';
import type { FeatureFolder } from './feature-folder.ts';
import { NAME_EXPECTED, NAME_PATTERN } from './fields.ts';
import { deepFreeze } from './freeze.ts';
import { checkOutputSchema, type OutputSchema, schemaDocuments } from './output-schema.ts';
import type { ProjectConfig, UpstreamConfig } from './project.ts';
import type { PromptNames } from './prompt-names.ts';
import type { RerankConfig } from './ranking-config.ts';
import type { Contract, Release, SchemaReading } from './release.ts';
import { fileProblem } from './source-file.ts';
import { hashedGlobs } from './source-schema.ts';
import { type Structuring, structuredOutput } from './structured-output.ts';
import { tidy, validate } from './validation.ts';
import { parseYaml } from './yaml-document.ts';

/** Changes when the same files would mean something else to a new version of Plimsoll. */
const RELEASE_FORMAT = 'plimsoll release 1';

interface CompiledRelease {
	/** Null when the feature or plimsoll.yaml has problems. */
	readonly release: Release | null;
	/** The feature's own problems. */
	readonly problems: readonly Problem[];
	/** What stops nothing, and is worth knowing. */
	readonly notes: readonly Problem[];
}

/** Compiles a feature's folder, already read, under a compiled project. Pure. */
export function compileRelease(folder: FeatureFolder, project: CompiledProject, prompts: PromptNames): CompiledRelease {
	const problems: Problem[] = [...folder.problems];
	if (!NAME_PATTERN.test(folder.name)) {
		problems.push({ ...fileProblem(folder.shownAs, 'is not a valid name for a feature'), expected: NAME_EXPECTED });
	}
	if (!folder.contract) {
		problems.push(...checkSchemas(folder, 'assertion').problems);
		return { release: null, problems, notes: [] };
	}
	const document = parseYaml(folder.contract);
	if (!document.readable) return { release: null, problems: [...problems, ...tidy(document.problems)], notes: [] };
	const subject = { document, tree: document.value, sourceOf: () => null };
	const { value: raw, problems: invalid } = validate({ zod: contractSchema, json: contractJsonSchema }, subject);
	const formats = raw?.guards.output_formats ?? 'assertion';
	const schemas = checkSchemas(folder, formats);
	problems.push(...schemas.problems);
	const around = { project: project.names, schemas: [...folder.schemas.keys()], prompts };
	problems.push(...tidy([...document.problems, ...invalid, ...checkContract(document, around)]));
	if (!raw || !project.config || problems.length > 0) return { release: null, problems, notes: [] };
	const { upstreams } = project.config;
	const output = raw.guards.output_schema === null ? null : (schemas.checked.get(raw.guards.output_schema) ?? null);
	const { structured, notes } = structuringOf(folder, { raw, output, upstreams });
	const contract = deepFreeze(
		compileContract(folder.name, raw, {
			outputSchema: output?.schema ?? null,
			reading: output?.reading ?? { uri: 'plimsoll:///', documents: {}, formats },
			structured,
			available: (name) => upstreams.get(name)?.available === true,
		}),
	);
	const hash = releaseHash(folder, contract, project.config);
	return { release: Object.freeze({ contract, hash, id: hash.slice(0, 12) }), problems: [], notes };
}

function checkSchemas(folder: FeatureFolder, formats: SchemaReading['formats']) {
	const documents = schemaDocuments(folder.schemas);
	const problems: Problem[] = [];
	const checked = new Map<string, OutputSchema | null>();
	for (const [path, file] of folder.schemas) {
		const { value, problems: found } = checkOutputSchema(file, { path, documents, formats });
		problems.push(...tidy(found));
		checked.set(path, value);
	}
	return { checked, problems };
}

/** Of every upstream that the feature may ask, whoever chooses the route. */
function structuringOf(
	folder: FeatureFolder,
	from: {
		raw: RawContract;
		output: OutputSchema | null;
		upstreams: ProjectConfig['upstreams'];
	},
): Structuring {
	const { output_schema: path, structured_output: mode } = from.raw.guards;
	if (path === null || from.output === null) return { structured: null, notes: [] };
	const { route, routes, escalate_to: escalateTo } = from.raw.models;
	const names = new Set([...route, ...Object.values(routes).flat(), ...(escalateTo === null ? [] : [escalateTo])]);
	const upstreams = [...names].flatMap((name) => from.upstreams.get(name) ?? []).filter(({ available }) => available);
	const source = folder.schemas.get(path) ?? null;
	return structuredOutput(from.output, mode, { feature: folder.name, source, upstreams });
}

/** See `Release.hash`. */
function releaseHash(folder: FeatureFolder, contract: Contract, config: ProjectConfig): string {
	const parts: (string | Uint8Array)[] = [RELEASE_FORMAT, contract.feature];
	const files = [...folder.prompts, ...folder.schemas].sort(([a], [b]) => (a < b ? -1 : 1));
	if (folder.contract) files.unshift(['contract.yaml', folder.contract]);
	for (const [path, { bytes }] of files) parts.push(path, bytes);
	const collection = contract.retrieval && config.collections.get(contract.retrieval.collection);
	if (collection) parts.push(canonicalJson(collectionIdentity(collection, config)));
	if (contract.guards.structured) parts.push('structured', canonicalJson(contract.guards.structured));
	const { route, routes, escalateTo } = contract.models;
	for (const name of [...route, ...Object.values(routes).flat(), escalateTo]) {
		const upstream = name === null ? undefined : config.upstreams.get(name);
		if (upstream) parts.push(canonicalJson(upstreamIdentity(upstream)));
	}
	return sha256Of(parts);
}

/** What of an upstream can change an answer: no secret, no connection count, no breaker, no price (traces carry its version). */
function upstreamIdentity(upstream: UpstreamConfig): object {
	const { name, provider, model, family, baseUrl, providerOptions, sideEffects } = upstream;
	const { contextTokensMax, tokensOutMax, tokensOutParameter, tokenizer, timeouts } = upstream;
	const limits = { contextTokensMax, tokensOutMax, tokensOutParameter, tokenizer, timeouts };
	return {
		...{ name, provider, model, family, baseUrl, ...limits },
		...dialectOf(upstream),
		// What is younger is left out where it says nothing, so that older releases keep their hashes.
		...(sideEffects && { sideEffects }),
		...(upstream.continuesTurn && { continuesTurn: true }),
		...(Object.keys(providerOptions).length > 0 && { providerOptions }),
	};
}

/** What a family alone has, and an endpoint's dialect where it is not OpenAI's own. */
function dialectOf(upstream: UpstreamConfig): object {
	if (upstream.family === 'ai-sdk') {
		const { package: module, factory, optionsName, settings } = upstream;
		return { module, factory, optionsName, settings };
	}
	if (upstream.family === 'bedrock') return { region: upstream.region };
	if (upstream.family === 'vertex') return { region: upstream.region, project: upstream.project };
	if (upstream.family !== 'openai-compatible') return {};
	const { chatPath, renamed } = upstream.wire;
	return {
		...(chatPath !== '/chat/completions' && { chatPath }),
		...(Object.keys(renamed).length > 0 && { renamed }),
	};
}

function collectionIdentity(collection: CollectionConfig, { dir, embedders }: ProjectConfig): object {
	// Relative to the project, so that a checkout elsewhere has the same hash.
	const portable = (path: string) => (isAbsolute(path) ? relative(dir, path).split(sep).join('/') : path);
	const sources = collection.sources.map((source) => sourceIdentity(source, portable));
	const embedder = collection.embedder === null ? null : (embedders.get(collection.embedder) ?? null);
	// How it is ingested, checked and kept shows in its generations, which every trace names; places change no answer.
	const { generations: _, ingestion: __, canaries: ___, checks: ____, partition: _____, ...searched } = collection;
	const { access, onIdentityChange, ...rest } = searched;
	const search = searchIdentity(collection.search, portable);
	const chunker = chunkerIdentity(collection.chunker);
	return {
		...rest,
		...(access && { access }),
		...(onIdentityChange !== 'lexical' && { onIdentityChange }),
		sources,
		chunker,
		search,
		embedder: embedder && embedderIdentity(embedder, portable),
	};
}

/** Where documents come from; not with whose rights, nor where the database is. */
function sourceIdentity(source: SourceConfig, portable: (path: string) => string): object {
	switch (source.kind) {
		case 'folder':
			return { ...source, path: portable(source.path), include: hashedGlobs(source.include) };
		case 'jsonl':
		case 'csv':
			return { ...source, path: portable(source.path) };
		case 'postgres': {
			const { url: _, ...identity } = source;
			return identity;
		}
		case 's3': {
			const { accessKeyId: _, secretAccessKey: __, sessionToken: ___, ...identity } = source;
			return identity;
		}
		case 'sitemap': {
			const { authorization: _, ...identity } = source;
			return identity;
		}
		case 'push':
			return { kind: source.kind, name: source.name };
		default:
			return source;
	}
}

function chunkerIdentity({ kind, tokensMax, tokensMin, overlapTokens, rowsMax, header }: ChunkerConfig): object {
	const usual = header.template === HEADER_DEFAULTS.template && header.tokensMax === HEADER_DEFAULTS.tokensMax;
	return {
		...{ kind, tokensMax, tokensMin },
		...((kind === 'sentences' || kind === 'tokens') && { overlapTokens }),
		...(rowsMax !== null && { rowsMax }),
		...(!usual && { header }),
	};
}

/** What is younger is left out where it says nothing, so that older releases keep their hashes. */
function searchIdentity(config: CollectionConfig['search'], portable: (path: string) => string): object {
	const { lexicalTimeoutMs, vectorTimeoutMs, diversity, rerank, ...search } = config;
	return {
		...search,
		...(lexicalTimeoutMs !== search.timeoutMs && { lexicalTimeoutMs }),
		...(vectorTimeoutMs !== search.timeoutMs && { vectorTimeoutMs }),
		...(diversity.kind !== 'none' && { diversity }),
		...(rerank && { rerank: rerankIdentity(rerank, portable) }),
	};
}

/** No secret, and no price: traces carry what was paid. */
function rerankIdentity(rerank: RerankConfig, portable: (path: string) => string): object {
	if (rerank.format === 'local') return { ...rerank, model: portable(rerank.model) };
	const { apiKey: _, costMicros: __, ...identity } = rerank;
	return identity;
}

/** What of an embedder can change an answer. */
function embedderIdentity(embedder: EmbedderConfig, portable: (path: string) => string): object {
	const { aliases: _, ...own } = embedder;
	if (own.family === 'builtin') return own;
	if (own.family === 'local') return { ...own, model: portable(own.model) };
	const { name, family, baseUrl, model, dimensions, queryPrefix, documentPrefix } = own;
	const { queryType, documentType, requestDimensions, providerOptions } = own;
	return {
		...{ name, family, baseUrl, model, dimensions, queryPrefix, documentPrefix },
		...(queryType !== null && { queryType }),
		...(documentType !== null && { documentType }),
		...(requestDimensions && { requestDimensions }),
		...(Object.keys(providerOptions).length > 0 && { providerOptions }),
		...(own.family === 'ai-sdk' && { module: own.package, factory: own.factory, settings: own.settings }),
	};
}
