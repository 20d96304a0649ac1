import type { RawTerms } from './price-schema.ts';
import { isMapping } from './schema-node.ts';

/**
 * Prices of LiteLLM's public list, `model_prices_and_context_window.json`: a JSON object of models, with US dollars a
 * token. Null where the list has no such model, or no price above zero for its input and its output.
 */
export function litellmPrice(list: Readonly<Record<string, unknown>>, entry: string): RawTerms | null {
	const model = list[entry];
	if (!isMapping(model)) return null;
	const usual = ratesOf(model, '');
	if (usual === null) return null;
	const bounds = Object.keys(model).flatMap((key) => /^input_cost_per_token_above_(\d+)k_tokens$/.exec(key)?.[1] ?? []);
	const tiers = [...new Set(bounds)]
		.map(Number)
		.sort((a, b) => a - b)
		.flatMap((thousands) => {
			const rates = ratesOf(model, `_above_${thousands}k_tokens`);
			return rates === null ? [] : [{ tokens_in_above: thousands * 1_000, ...inherited(rates, usual) }];
		});
	const batch = ratesOf(model, '_batches') ?? ratesOf(model, '_flex');
	return { ...usual, ...(tiers.length > 0 && { tiers }), ...(batch !== null && { batch }) };
}

/** Names under which the list may have a provider's model, the likeliest first. */
export function litellmEntries(provider: string, model: string): readonly string[] {
	const aliases: Readonly<Record<string, readonly string[]>> = {
		google: ['gemini', 'vertex_ai'],
		xai: ['xai'],
		together: ['together_ai'],
		fireworks: ['fireworks_ai/accounts/fireworks/models', 'fireworks_ai'],
	};
	return [...[provider, ...(aliases[provider] ?? [])].map((name) => `${name}/${model}`), model];
}

type RawRates = Omit<RawTerms, 'tiers' | 'batch' | 'free'>;

function ratesOf(model: Readonly<Record<string, unknown>>, suffix: string): RawRates | null {
	const input = perMillion(model[`input_cost_per_token${suffix}`]);
	const output = perMillion(model[`output_cost_per_token${suffix}`]);
	if (input === null || output === null) return null;
	const cached = perMillion(model[`cache_read_input_token_cost${suffix}`]);
	const written = perMillion(model[`cache_creation_input_token_cost${suffix}`]);
	const reasoning = perMillion(model[`output_cost_per_reasoning_token${suffix}`]);
	return {
		input_usd_per_million: input,
		...(cached !== null && { cached_input_usd_per_million: cached }),
		...(written !== null && { cache_write_usd_per_million: written }),
		output_usd_per_million: output,
		...(reasoning !== null && { reasoning_usd_per_million: reasoning }),
	};
}

/** A tier that says nothing of cached tokens keeps what they cost below it, in proportion to its input. */
function inherited(rates: RawRates, usual: RawRates): RawRates {
	const factor = (rates.input_usd_per_million ?? 0) / (usual.input_usd_per_million ?? 1);
	const scaled = (value: number | undefined) => (value === undefined ? undefined : roundUp(value * factor));
	const cached = rates.cached_input_usd_per_million ?? scaled(usual.cached_input_usd_per_million);
	const written = rates.cache_write_usd_per_million ?? scaled(usual.cache_write_usd_per_million);
	return {
		...rates,
		...(cached !== undefined && { cached_input_usd_per_million: cached }),
		...(written !== undefined && { cache_write_usd_per_million: written }),
	};
}

/** Dollars a token to dollars a million tokens, whole micro-dollars, rounded up; null for what is no price above zero. */
function perMillion(perToken: unknown): number | null {
	if (typeof perToken !== 'number' || !(perToken > 0) || perToken > 1) return null;
	// Twelve digits more than a token's price has by itself: what a double makes of the product is noise beyond them.
	return roundUp(Number((perToken * 1_000_000).toPrecision(12)));
}

function roundUp(usd: number): number {
	return Math.ceil(Number((usd * 1_000_000).toPrecision(12))) / 1_000_000;
}
