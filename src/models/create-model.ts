import type { Clock } from '../base/clock.ts';
import type { UpstreamConfig } from '../contracts/project.ts';
import { configurationError } from '../spec/errors.ts';
import type { Model } from '../spec/model.ts';
import { SDK_FAMILIES, type SdkUpstream } from './ai-sdk/families.ts';
import { createSdkModel } from './ai-sdk/model.ts';
import { openPackage, requirePackage } from './ai-sdk/packages.ts';
import { Transport } from './ai-sdk/transport.ts';
import { createExtractiveModel } from './extractive/model.ts';
import { createOpenAiCompatibleModel } from './openai-compatible/model.ts';

/**
 * The model of one upstream; the caller closes it. Throws `configuration_invalid` when the upstream lacks the base URL
 * that its family needs, or has one that is not http(s), and `dependency_missing` with the command where its family's
 * package is not installed.
 */
export function createModel(config: UpstreamConfig, { clock }: { readonly clock: Clock }): Model {
	if (config.family === 'extractive') return createExtractiveModel(config);
	const { baseUrl, apiKey, connectionsMax, providerOptions } = config;
	try {
		if (config.family === 'ai-sdk') return openSdkModel(config, clock);
		if (baseUrl === null) throw invalid(config, 'is missing');
		if (config.family !== 'openai-compatible') return openSdkModel(config, clock);
		const { wire } = config;
		return createOpenAiCompatibleModel({
			upstream: config,
			baseUrl,
			apiKey,
			connectionsMax,
			clock,
			wire,
			providerOptions,
		});
	} catch (error) {
		if (error instanceof TypeError) throw invalid(config, `is not usable: ${error.message}`);
		throw error;
	}
}

function openSdkModel(config: SdkUpstream, clock: Clock): Model {
	const { rules, end } = SDK_FAMILIES[config.family];
	requirePackage(config);
	const { baseUrl, connectionsMax, timeouts, apiKey, providerOptions, provider, family } = config;
	const transport = new Transport({ baseUrl, connectionsMax, connectMs: timeouts.connectMs });
	const [own, ...others] = family === 'ai-sdk' ? [config.optionsName] : rules.namespaces;
	const closing: (() => Promise<void>)[] = [() => transport.close()];
	return createSdkModel({
		upstream: config,
		open: () => openPackage(config, { door: transport.fetch, clock, onClose: (close) => closing.push(close) }),
		transport,
		rules: { ...rules, namespaces: [own ?? family, ...others, family, provider] },
		end,
		providerOptions,
		secrets: [apiKey, ...secretsOf(config)],
		region: 'region' in config ? config.region : null,
		clock,
		close: async () => {
			await Promise.all(closing.map((close) => close()));
		},
	});
}

function secretsOf(config: SdkUpstream): (string | null)[] {
	if (config.family === 'bedrock')
		return [config.signing?.secretAccessKey ?? null, config.signing?.sessionToken ?? null];
	return [];
}

function invalid(config: UpstreamConfig, what: string): Error {
	const expected = 'an http or https URL up to the version, such as https://api.openai.com/v1';
	const field = `upstreams.${config.name}.base_url`;
	const place = { file: 'plimsoll.yaml', line: null, column: null };
	return configurationError([{ ...place, field, message: what, expected, hint: null }]);
}
