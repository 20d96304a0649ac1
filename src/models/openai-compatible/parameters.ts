import type { OpenAiWire } from '../../contracts/project.ts';
import { isObject, type Json } from '../exchange/json.ts';
import { asksForNothing, UnsupportedError } from '../exchange/unsupported.ts';

interface Dialect {
	readonly wire: Pick<OpenAiWire, 'jsonSchema' | 'refused' | 'renamed'>;
	/** The upstream's own `provider_options`. */
	readonly own: Json;
	/** Under which those of a request stand. */
	readonly namespaces: readonly string[];
}

/**
 * A request's parameters as an endpoint knows them; the same object where there is nothing to do. What the endpoint does
 * not know throws UnsupportedError with its name: it would answer with an error, or ignore it in silence.
 */
export function parametersFor({ wire, own, namespaces }: Dialect): (parameters: Json) => Json {
	const { refused, renamed, jsonSchema } = wire;
	const isPlain = refused.length === 0 && Object.keys(renamed).length === 0 && jsonSchema;
	const hasOwn = Object.keys(own).length > 0;
	return (parameters) => {
		if (isPlain && !hasOwn && parameters.provider_options === undefined) return parameters;
		const sent: Record<string, unknown> = {};
		for (const [name, value] of Object.entries(parameters)) {
			if (name === 'provider_options') continue;
			if (name === 'response_format' && !jsonSchema && isObject(value) && value.type === 'json_schema') {
				throw new UnsupportedError(name, 'must be json_object: this endpoint takes no JSON schema');
			}
			if (!refused.includes(name)) sent[renamed[name] ?? name] = value;
			else if (!asksForNothing(name, value)) {
				throw new UnsupportedError(name, 'is a parameter that this endpoint does not have');
			}
		}
		return Object.assign(sent, own, ...namespaces.map((name) => extrasOf(parameters.provider_options, name)));
	};
}

/** What a vendor is told beyond OpenAI's parameters; the extras of other vendors on a route are theirs. */
function extrasOf(options: unknown, namespace: string): Json {
	if (options === undefined || options === null) return {};
	if (!isObject(options)) throw new UnsupportedError('provider_options', 'must be a mapping of providers');
	const mine = options[namespace] ?? {};
	if (!isObject(mine)) throw new UnsupportedError(`provider_options.${namespace}`, 'must be a mapping');
	return mine;
}
