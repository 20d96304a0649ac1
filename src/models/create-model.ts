import type { Clock } from '../base/clock.ts';
import type { UpstreamConfig } from '../contracts/project.ts';
import { configurationError } from '../spec/errors.ts';
import type { Model } from '../spec/model.ts';
import { createExtractiveModel } from './extractive/model.ts';
import { createOpenAiCompatibleModel } from './openai-compatible/model.ts';

/**
 * The model of one upstream; the caller closes it. Throws `configuration_invalid` when the upstream lacks the base URL
 * that its family needs, or has one that is not http(s).
 */
export function createModel(config: UpstreamConfig, options: { readonly clock: Clock }): Model {
	if (config.family === 'extractive') return createExtractiveModel(config);
	const { baseUrl, apiKey, connectionsMax } = config;
	if (baseUrl === null) throw invalid(config, 'is missing');
	try {
		return createOpenAiCompatibleModel({ upstream: config, baseUrl, apiKey, connectionsMax, clock: options.clock });
	} catch (error) {
		if (error instanceof TypeError) throw invalid(config, `is not usable: ${error.message}`);
		throw error;
	}
}

function invalid(config: UpstreamConfig, what: string): Error {
	const expected = 'an http or https URL up to the version, such as https://api.openai.com/v1';
	const field = `upstreams.${config.name}.base_url`;
	const place = { file: 'plimsoll.yaml', line: null, column: null };
	return configurationError([{ ...place, field, message: what, expected, hint: null }]);
}
