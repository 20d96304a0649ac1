import type { Clock } from '../base/clock.ts';
import type { UpstreamConfig } from '../contracts/project.ts';
import { configurationError, PlimsollError } from '../spec/errors.ts';
import type { Model } from '../spec/model.ts';
import { SDK_FAMILIES, type SdkFamilyName } from './ai-sdk/families.ts';
import { createSdkModel } from './ai-sdk/model.ts';
import { Transport } from './ai-sdk/transport.ts';
import { createExtractiveModel } from './extractive/model.ts';
import { createOpenAiCompatibleModel } from './openai-compatible/model.ts';

/**
 * The model of one upstream; the caller closes it. Throws `configuration_invalid` when the upstream lacks the base URL
 * that its family needs, or has one that is not http(s), and `dependency_missing` with the command where its family's
 * package is not installed.
 */
export function createModel(config: UpstreamConfig, { clock }: { readonly clock: Clock }): Model {
	const { family } = config;
	if (family === 'extractive') return createExtractiveModel(config);
	if (config.baseUrl === null) throw invalid(config, 'is missing');
	try {
		if (family !== 'openai-compatible') return openSdkModel(config, family, clock);
		const { baseUrl, apiKey, connectionsMax, wire, providerOptions } = config;
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

function openSdkModel(config: UpstreamConfig, family: SdkFamilyName, clock: Clock): Model {
	const { rules, isLast, open, package: needed } = SDK_FAMILIES[family];
	requirePackage(config, needed);
	const { baseUrl, connectionsMax, timeouts, apiKey, providerOptions, provider } = config;
	const transport = new Transport({ baseUrl, connectionsMax, connectMs: timeouts.connectMs });
	const [first, ...others] = rules.namespaces;
	return createSdkModel({
		upstream: config,
		open: () => open(config, transport.fetch),
		transport,
		rules: { ...rules, namespaces: [first, ...others, family, provider] },
		isLast,
		providerOptions,
		apiKey,
		region: null,
		clock,
	});
}

/** Packages are loaded when they are used, but whether they are there is known from the start. */
function requirePackage({ name }: UpstreamConfig, needed: { name: string; version: string }): void {
	try {
		import.meta.resolve(needed.name);
	} catch (cause) {
		const command = `npm install --save-prod --ignore-scripts ${needed.name}@${needed.version}`;
		const message = `The upstream ${name} needs the package ${needed.name}, which is not installed: ${command}`;
		throw new PlimsollError('dependency_missing', message, { cause });
	}
}

function invalid(config: UpstreamConfig, what: string): Error {
	const expected = 'an http or https URL up to the version, such as https://api.openai.com/v1';
	const field = `upstreams.${config.name}.base_url`;
	const place = { file: 'plimsoll.yaml', line: null, column: null };
	return configurationError([{ ...place, field, message: what, expected, hint: null }]);
}
