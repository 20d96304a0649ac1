import type { SharedV4ProviderMetadata, SharedV4ProviderOptions } from '@ai-sdk/provider';
import { isObject, type Json } from '../exchange/json.ts';

/** Under which Google's package keeps a signature, by where its model is. */
const GOOGLE_NAMESPACES = ['google', 'googleVertex', 'vertex'];

/**
 * What a package says of a call of a tool, as `extra_content` of the call: Gemini's signature of the thought behind it in the form of Google's own
 * OpenAI-compatible endpoint, which clients know; whatever else as it is.
 */
export function extraOf(metadata: SharedV4ProviderMetadata): SharedV4ProviderMetadata {
	const signed = GOOGLE_NAMESPACES.map((name) => metadata[name]?.thoughtSignature).find(
		(signature) => typeof signature === 'string',
	);
	return signed === undefined ? metadata : { google: { thought_signature: signed } };
}

/** The same on its way back. Google's package finds it under either of its names. */
export function optionsOfExtra(extra: Json): SharedV4ProviderOptions {
	const { google } = extra;
	const signature = isObject(google) ? google.thought_signature : undefined;
	if (typeof signature !== 'string') return extra as SharedV4ProviderOptions;
	return { google: { thoughtSignature: signature } };
}
