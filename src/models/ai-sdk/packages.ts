import type { LanguageModelV4 } from '@ai-sdk/provider';
import type { Clock } from '../../base/clock.ts';
import { createIds } from '../../base/ids.ts';
import { systemRandom } from '../../base/random.ts';
import { PlimsollError } from '../../spec/errors.ts';
import { isObject, type Json } from '../exchange/json.ts';
import { SDK_FAMILIES, type SdkUpstream } from './families.ts';
import { GoogleTokens } from './google-tokens.ts';
import type { Fetch } from './transport.ts';

interface OpenOptions {
	/** The one way out. */
	readonly door: Fetch;
	readonly clock: Clock;
	/** Closed with the model. */
	readonly onClose: (close: () => Promise<void>) => void;
}

/**
 * Loads the package of an upstream's family and makes the model. Settings are complete, empty ones included: what a package
 * is not told, it looks up in the environment.
 */
export async function openPackage(upstream: SdkUpstream, options: OpenOptions): Promise<LanguageModelV4> {
	const { model, baseUrl, apiKey } = upstream;
	const common = { baseURL: baseUrl ?? '', apiKey: apiKey ?? '', fetch: options.door };
	switch (upstream.family) {
		case 'anthropic': {
			const { createAnthropic } = await import('@ai-sdk/anthropic');
			return createAnthropic(common)(model);
		}
		case 'google': {
			const { createGoogle } = await import('@ai-sdk/google');
			return createGoogle(common)(model);
		}
		case 'cohere': {
			const { createCohere } = await import('@ai-sdk/cohere');
			return createCohere(common)(model);
		}
		case 'bedrock': {
			const { createAmazonBedrock } = await import('@ai-sdk/amazon-bedrock');
			const { sessionToken, ...signing } = upstream.signing ?? {
				accessKeyId: '',
				secretAccessKey: '',
				sessionToken: null,
			};
			const session = sessionToken === null ? {} : { sessionToken };
			return createAmazonBedrock({ ...common, region: upstream.region, ...signing, ...session })(model);
		}
		case 'vertex':
			return openVertex(upstream, options);
		case 'ai-sdk':
			return openAny(upstream, options);
	}
}

/**
 * Gemini's own model with Vertex's address and token: the package for Vertex adds to it a library for tokens that has HTTP
 * and retries of its own.
 */
async function openVertex(
	{ name, model, baseUrl, apiKey, credentials }: Extract<SdkUpstream, { family: 'vertex' }>,
	{ door, clock, onClose }: OpenOptions,
): Promise<LanguageModelV4> {
	const { GoogleLanguageModel } = await import('@ai-sdk/google/internal');
	const newId = createIds(clock, systemRandom);
	const tokens = apiKey === null ? new GoogleTokens({ upstream: name, credentials, clock }) : null;
	if (tokens !== null) onClose(() => tokens.close());
	return new GoogleLanguageModel(model, {
		provider: 'google.vertex.chat',
		baseURL: baseUrl ?? '',
		fetch: door,
		generateId: () => newId('call'),
		headers: async (): Promise<Record<string, string>> =>
			tokens === null ? { 'x-goog-api-key': apiKey ?? '' } : { authorization: `Bearer ${await tokens.token()}` },
		supportedUrls: () => ({ '*': [/^https?:\/\//, /^gs:\/\//] }),
	});
}

/** Any package that follows the convention: an export `createX` that makes a provider, which makes models by name. */
async function openAny(
	upstream: Extract<SdkUpstream, { family: 'ai-sdk' }>,
	{ door }: OpenOptions,
): Promise<LanguageModelV4> {
	const provider = await providerOf(upstream, door);
	const made: unknown = isProvider(provider) ? provider.languageModel(upstream.model) : null;
	if (isModelV4<LanguageModelV4>(made)) return made;
	throw new TypeError(`the package ${upstream.package} of ${upstream.name} makes no language model of version v4`);
}

/** What of a configuration says which package makes a provider, and how. */
interface AnyPackage {
	readonly name: string;
	readonly package: string;
	readonly factory: string | null;
	readonly settings: Readonly<Record<string, unknown>>;
	readonly baseUrl: string | null;
	readonly apiKey: string | null;
}

/** Throws TypeError when the package has no one factory. */
export async function providerOf(
	{ name, baseUrl, apiKey, package: module, factory, settings }: AnyPackage,
	door: Fetch,
): Promise<unknown> {
	const exports = (await import(module)) as Json;
	const names = factory === null ? Object.keys(exports).filter((one) => one.startsWith('create')) : [factory];
	const create = names.length === 1 ? exports[names[0] ?? ''] : null;
	if (typeof create !== 'function') {
		const found = Object.keys(exports).filter((one) => one.startsWith('create'));
		throw new TypeError(`the package ${module} of ${name} has no one factory to take: name one of ${found.join(', ')}`);
	}
	const address = baseUrl === null ? {} : { baseURL: baseUrl };
	return create({ ...settings, ...address, apiKey: apiKey ?? '', fetch: door });
}

function isProvider(value: unknown): value is { languageModel(model: string): unknown } {
	const isThing = typeof value === 'function' || isObject(value);
	return isThing && 'languageModel' in value && typeof value.languageModel === 'function';
}

export function isModelV4<T>(value: unknown): value is T {
	return isObject(value) && value.specificationVersion === 'v4';
}

/** An upstream, or an embedder, of a family behind a package. */
interface PackageUser {
	readonly name: string;
	readonly family: SdkUpstream['family'];
	readonly package?: string;
}

/** The package that an upstream's family needs and that is not installed, with the command; null when it is there. */
export function missingPackage(upstream: PackageUser): { readonly name: string; readonly command: string } | null {
	const tested = SDK_FAMILIES[upstream.family].package;
	const name = tested?.name ?? upstream.package ?? '';
	if (isInstalled(name)) return null;
	const version = tested === null ? '' : `@${tested.version}`;
	return { name, command: `npm install --save-prod --ignore-scripts ${name}${version}` };
}

/** Whether a package is there, without loading it. */
export function isInstalled(name: string): boolean {
	try {
		import.meta.resolve(name);
		return true;
	} catch {
		return false;
	}
}

/** Packages are loaded when they are used, but whether they are there is known from the start. */
export function requirePackage(upstream: PackageUser, what = 'upstream'): void {
	const missing = missingPackage(upstream);
	if (missing === null) return;
	const message = `The ${what} ${upstream.name} needs the package ${missing.name}, which is not installed: ${missing.command}`;
	throw new PlimsollError('dependency_missing', message);
}
