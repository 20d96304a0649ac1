import { cloudFamilyOf } from './cloud-family.ts';
import { type Reference, type Resolved, SECRET_FIELDS } from './environment.ts';
import { IMAGE_LIMITS, isOwnServer } from './image-limits.ts';
import { NO_PRESET, PRESETS, type Preset } from './presets.ts';
import { listedPrice, type PriceList, priceOf } from './price.ts';
import type { OpenAiWire, UpstreamConfig } from './project.ts';
import type { SchemaDialectName } from './schema-dialect.ts';
import { isMapping, valueAt } from './schema-node.ts';
import { breakerOf } from './storm-schema.ts';
import type { RawUpstream } from './upstream-schema.ts';

/** Whether upstreams are on, by name. */
export type Availability = ReadonlyMap<string, boolean>;

/** Stands for what an upstream that nothing will call does not say. */
const UNSET = 'unset';

/** What says where an upstream is and how to enter. Its model, say, may be chosen for a server that is not there. */
function isSwitch(field: unknown): boolean {
	return field === 'base_url' || SECRET_FIELDS.has(String(field));
}

/** Every upstream by name: false when it is optional and none of the variables of its keys and address is set. */
export function availability({ tree, references }: Resolved): Availability {
	const set = new Set<unknown>();
	for (const { path, state } of references.values()) {
		if (path[0] === 'upstreams' && isSwitch(path[2]) && state === 'set') set.add(path[1]);
	}
	const upstreams = valueAt(tree, ['upstreams']);
	const entries = isMapping(upstreams) ? Object.entries(upstreams) : [];
	return new Map(entries.map(([name, raw]) => [name, valueAt(raw, ['optional']) !== true || set.has(name)]));
}

/** An upstream that nothing will call may lack what its unset variables would have said. */
export function fillUnavailable({ tree, references }: Resolved, available: Availability): void {
	for (const { path, state } of references.values()) {
		const [section, name, field] = path;
		if (section !== 'upstreams' || state !== 'unset' || available.get(String(name)) !== false) continue;
		const upstream = valueAt(tree, path.slice(0, 2));
		if (isMapping(upstream) && (field === 'model' || isSwitch(field)))
			Object.assign(upstream, { [String(field)]: UNSET });
	}
}

/** Whether an upstream is on, and what would switch it on. */
export function switchOf(name: string, { references }: Resolved, available: Availability) {
	const own = [...references.values()].filter(
		({ path, kind }) => path[0] === 'upstreams' && path[1] === name && isSwitch(path[2]) && kind === 'env',
	);
	// The key first: it is what most people have to set.
	const [keys, others] = [own.filter(isKey), own.filter((reference) => !isKey(reference))];
	const variables = new Set([...keys, ...others].map((reference) => reference.name));
	return { available: available.get(name) ?? true, switchedOnBy: [...variables] };
}

function isKey({ path }: Reference): boolean {
	return SECRET_FIELDS.has(String(path.at(-1)));
}

export function upstreamOf(
	name: string,
	raw: RawUpstream,
	{ priceList, ...power }: Pick<UpstreamConfig, 'available' | 'switchedOnBy'> & { priceList: PriceList | null },
): UpstreamConfig {
	return { ...commonOf(name, raw), ...power, ...pricedBy(name, raw, priceList), ...placeOf(raw), ...familyOf(raw) };
}

/** An upstream's own price, else that of the project's list. */
export function pricedBy(
	name: string,
	{ price, model }: Pick<RawUpstream, 'price' | 'model'>,
	list: PriceList | null,
): Pick<UpstreamConfig, 'price' | 'priceFrom'> {
	if (price !== null) {
		const own = priceOf(price, { version: price.version ?? 'free', asOf: price.as_of ?? null });
		return { price: own, priceFrom: 'project' };
	}
	const listed = listedPrice(list, providerOf(name), model);
	return { price: listed, priceFrom: listed && 'list' };
}

function providerOf(upstream: string): string {
	return upstream.slice(0, upstream.indexOf('/'));
}

function commonOf(name: string, raw: RawUpstream) {
	const { timeouts } = raw;
	return {
		name,
		provider: providerOf(name),
		model: raw.model,
		contextTokensMax: raw.context_tokens_max,
		tokensOutMax: raw.tokens_out_max,
		// Families behind a package have a member of their own for it, whatever it is called here.
		tokensOutParameter: 'tokens_out_parameter' in raw ? raw.tokens_out_parameter : 'max_tokens',
		tokenizer: raw.tokenizer,
		timeouts: {
			connectMs: timeouts.connect_ms,
			firstTokenMs: timeouts.first_token_ms,
			idleMs: timeouts.idle_ms,
			totalMs: timeouts.total_ms,
		},
		sideEffects: raw.side_effects,
		schemaDialect: schemaDialectOf(raw),
		continuesTurn: 'continues_assistant_turn' in raw && raw.continues_assistant_turn,
		breaker: breakerOf(raw.breaker),
		images: IMAGE_LIMITS[raw.family],
		isOwnServer: isOwnServer(raw),
	};
}

/** By family and, among those that speak OpenAI's format, by preset: an endpoint of none is taken for the narrowest. */
function schemaDialectOf(raw: RawUpstream): SchemaDialectName | null {
	if (raw.family !== 'openai-compatible') return FAMILY_DIALECTS[raw.family] ?? null;
	if (!raw.json_schema) return null;
	return raw.preset === null ? 'openai' : PRESETS[raw.preset].schemaDialect;
}

/** A family that is not here is asked in the prompt. */
const FAMILY_DIALECTS: Partial<Record<RawUpstream['family'], SchemaDialectName>> = {
	anthropic: 'anthropic',
	google: 'google',
	vertex: 'google',
};

function placeOf(raw: RawUpstream): Pick<UpstreamConfig, 'baseUrl' | 'apiKey' | 'connectionsMax' | 'providerOptions'> {
	if (raw.family === 'extractive') return { baseUrl: null, apiKey: null, connectionsMax: 0, providerOptions: {} };
	const baseUrl = raw.base_url ?? regionalUrl(raw);
	return {
		baseUrl: baseUrl === null || baseUrl === UNSET ? null : withoutSlash(baseUrl),
		apiKey: raw.api_key === UNSET ? null : raw.api_key,
		connectionsMax: raw.connections_max,
		providerOptions: raw.provider_options,
	};
}

/** Where a cloud has an address for each region; null for who has none. */
function regionalUrl(raw: RawUpstream): string | null {
	if (raw.family === 'bedrock') return bedrockUrl(raw.region);
	if (raw.family !== 'vertex') return null;
	const { region, project } = raw;
	if (raw.api_key !== null) return 'https://aiplatform.googleapis.com/v1/publishers/google';
	const host = vertexHost(region);
	return `https://${host}/v1beta1/projects/${project}/locations/${region}/publishers/google`;
}

export function bedrockUrl(region: string): string {
	return `https://bedrock-runtime.${region}.amazonaws.com${region.startsWith('cn-') ? '.cn' : ''}`;
}

export function vertexHost(region: string): string {
	if (region === 'global') return 'aiplatform.googleapis.com';
	const isMultiRegion = region === 'eu' || region === 'us';
	return isMultiRegion ? `aiplatform.${region}.rep.googleapis.com` : `${region}-aiplatform.googleapis.com`;
}

function familyOf(raw: RawUpstream) {
	switch (raw.family) {
		case 'openai-compatible':
			return { family: raw.family, wire: wireOf(raw) };
		case 'vertex':
		case 'bedrock':
		case 'ai-sdk':
			return cloudFamilyOf(raw);
		default:
			return { family: raw.family };
	}
}

function wireOf(raw: Extract<RawUpstream, { family: 'openai-compatible' }>): OpenAiWire {
	const { refused, renamed, continuation }: typeof NO_PRESET =
		raw.preset === null ? NO_PRESET : (PRESETS[raw.preset] as Preset);
	return {
		chatPath: raw.preset === 'azure' ? azurePath(raw) : '/chat/completions',
		keyHeader: raw.api_key_header,
		streamUsage: raw.stream_usage,
		jsonSchema: raw.json_schema,
		continuation: continuation ?? 'place',
		refused,
		renamed,
	};
}

/** Azure has version 1 at one address for all deployments, and dated versions at an address for each. */
function azurePath({
	base_url: base,
	model,
	api_version: version,
}: {
	base_url: string;
	model: string;
	api_version: string | null;
}): string {
	const root = /\/openai(?:\/v1)?\/?$/.test(base) ? '' : '/openai';
	if (version === null) return /\/v1\/?$/.test(base) ? '/chat/completions' : `${root}/v1/chat/completions`;
	return `${root}/deployments/${encodeURIComponent(model)}/chat/completions?api-version=${encodeURIComponent(version)}`;
}

export function withoutSlash(url: string): string {
	return url.replace(/\/+$/, '');
}
