import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import { stringify } from 'yaml';
import { loadProject } from '../../src/app/load-project.ts';
import { litellmEntries, litellmPrice } from '../../src/contracts/litellm-prices.ts';
import { parsePriceList, priceOf } from '../../src/contracts/price.ts';
import { formatProblem } from '../../src/spec/problem.ts';
import { flatPrice } from '../support/prices.ts';
import { projectFolder } from '../support/project-folder.ts';

const UPSTREAM = `upstreams:
  openai/default:
    family: openai-compatible
    base_url: https://example.test/v1
    model: gpt-x
`;

async function load(price: string | null, files: Record<string, string> = {}, more = '') {
	const text = price === null ? UPSTREAM : `${UPSTREAM}    price: ${price}\n`;
	return loadProject(await projectFolder({ 'plimsoll.yaml': text + more, ...files }), {});
}

async function priceIn(price: string) {
	const { value, problems } = await load(price);
	expect(problems).toEqual([]);
	return value?.config.upstreams.get('openai/default')?.price;
}

describe('the price of an upstream', () => {
	it('has a rate for each kind of token, tiers and batch rates; what it leaves out costs as its kind', async () => {
		const own = `{version: v, as_of: 2026-11-01, input_usd_per_million: 1, cached_input_usd_per_million: 0.1,
      cache_write_usd_per_million: 1.25, output_usd_per_million: 8, reasoning_usd_per_million: 6,
      tiers: [{tokens_in_above: 200000, input_usd_per_million: 2, output_usd_per_million: 12}],
      batch: {input_usd_per_million: 0.5, output_usd_per_million: 4}}`;
		const { tokensInAbove, ...tier } = { ...flatPrice('', 2_000_000, 12_000_000), tokensInAbove: 200_000 };
		const rates = ({ version: _, asOf: __, tiers: ___, batch: ____, ...rest }: typeof tier) => rest;
		expect(await priceIn(own)).toEqual({
			version: 'v',
			asOf: '2026-11-01',
			inputMicrosPerMillion: 1_000_000,
			cachedInputMicrosPerMillion: 100_000,
			cacheWriteMicrosPerMillion: 1_250_000,
			outputMicrosPerMillion: 8_000_000,
			reasoningMicrosPerMillion: 6_000_000,
			tiers: [{ tokensInAbove, ...rates(tier) }],
			batch: rates(flatPrice('', 500_000, 4_000_000)),
		});
	});

	it('is zero only where it says that it is free', async () => {
		expect(await priceIn('{free: true}')).toEqual(flatPrice('free', 0, 0));
	});

	test.each([
		[
			'{version: v, input_usd_per_million: 0, output_usd_per_million: 1}',
			':6:48: upstreams.openai/default.price.input_usd_per_million: 0 is no price (expected a number above 0; where nothing is charged, write price: {free: true})',
		],
		['{version: v, input_usd_per_million: -1, output_usd_per_million: 1}', 'input_usd_per_million: found -1'],
		[
			'{version: v, input_usd_per_million: 1}',
			'price.output_usd_per_million: is missing (add it, or say free: true in its place)',
		],
		['{input_usd_per_million: 1, output_usd_per_million: 1}', 'price.version: is missing'],
		[
			'{free: true, output_usd_per_million: 1}',
			'price.output_usd_per_million: is a price of what free: true says costs nothing',
		],
		[
			'{version: v, input_usd_per_million: 1, output_usd_per_million: 1, as_of: 2026-02-30}',
			'price.as_of: is no day of the calendar',
		],
		[
			'{version: v, input_usd_per_million: 1, output_usd_per_million: 1, as_of: yesterday}',
			'expected a day such as 2026-11-01',
		],
		[
			'{version: v, input_usd_per_million: 1, output_usd_per_million: 1, batch: {input_usd_per_million: 1}}',
			'price.batch.output_usd_per_million: is missing',
		],
		[
			'{version: v, input_usd_per_million: 1, output_usd_per_million: 1, tiers: [{tokens_in_above: 9, input_usd_per_million: 1, output_usd_per_million: 1}, {tokens_in_above: 9, input_usd_per_million: 1, output_usd_per_million: 1}]}',
			'price.tiers[1]: tokens_in_above is not above that of the tier before',
		],
	])('%s is refused', async (price, said) => {
		expect((await load(price)).problems.map(formatProblem).join('\n')).toContain(said);
	});
});

describe('a list of prices', () => {
	const list = (models: object) => ({ 'prices.yaml': stringify({ version: 'list-1', as_of: '2026-11-01', models }) });
	const cheap = { input_usd_per_million: 0.5, output_usd_per_million: 1 };
	const priceFrom = async (price: string | null, models: object) => {
		const { value, problems } = await load(price, list(models));
		expect(problems).toEqual([]);
		const upstream = value?.config.upstreams.get('openai/default');
		return [upstream?.price?.version ?? null, upstream?.price?.inputMicrosPerMillion ?? null, upstream?.priceFrom];
	};

	it('prices a provider’s model, else the model, and never one that has a price of its own', async () => {
		const dear = { ...cheap, input_usd_per_million: 3 };
		expect(await priceFrom(null, { 'openai/gpt-x': cheap, 'gpt-x': dear })).toEqual(['list-1', 500_000, 'list']);
		expect(await priceFrom(null, { 'azure/gpt-x': cheap, 'gpt-x': dear })).toEqual(['list-1', 3_000_000, 'list']);
		expect(await priceFrom(null, { 'gpt-y': dear })).toEqual([null, null, null]);
		const own = '{version: own, input_usd_per_million: 7, output_usd_per_million: 9}';
		expect(await priceFrom(own, { 'gpt-x': dear })).toEqual(['own', 7_000_000, 'project']);
	});

	it('is checked like the rest of the project, and need not exist', async () => {
		const { problems } = await load(null, {
			'prices.yaml': 'version: v\nas_of: 2026-11-01\nmodels: {m: {input_usd_per_million: 0}}\n',
		});
		expect(problems.map(formatProblem).join('\n')).toContain(
			'prices.yaml:3:37: models.m.input_usd_per_million: 0 is no price',
		);
		const named = await load(null, {}, 'prices: {file: mine.yaml}\n');
		expect(named.problems.map(formatProblem)).toEqual(['mine.yaml: does not exist']);
	});

	it('may be demanded: an upstream without a price is then refused, with what to do', async () => {
		const refuse = 'prices: {unknown: refuse}\n';
		const { problems } = await load(null, list({ 'gpt-y': cheap }), refuse);
		expect(problems.map(formatProblem).join('\n')).toMatch(
			/^plimsoll\.yaml:2:3: upstreams\.openai\/default: has no price, and no list has one of gpt-x .*plimsoll prices import/,
		);
		expect((await load(null, list({ 'gpt-x': cheap }), refuse)).problems).toEqual([]);
		expect((await load('{free: true}', {}, refuse)).problems).toEqual([]);
		const hosted = 'hosted: {family: openai-compatible, base_url: http://h/v1, model: m, dimensions: 8';
		const withEmbedder = (more: string) => load('{free: true}', {}, `${refuse}embedders: {${hosted}${more}}}\n`);
		expect((await withEmbedder('')).problems.map(formatProblem).join()).toMatch(/embedders\.hosted: has no price/);
		expect((await withEmbedder(', price: {free: true}')).problems).toEqual([]);
	});
});

describe('a public list in LiteLLM’s format', () => {
	const LIST = {
		sample_spec: { input_cost_per_token: 0, output_cost_per_token: 0, mode: 'one of …' },
		'gpt-x': { input_cost_per_token: 2.5e-7, cache_read_input_token_cost: 2.5e-8, output_cost_per_token: 2e-6 },
		'claude-x': {
			input_cost_per_token: 3e-6,
			cache_read_input_token_cost: 3e-7,
			cache_creation_input_token_cost: 3.75e-6,
			output_cost_per_token: 1.5e-5,
			input_cost_per_token_above_200k_tokens: 6e-6,
			output_cost_per_token_above_200k_tokens: 2.25e-5,
			cache_read_input_token_cost_above_200k_tokens: 6e-7,
			input_cost_per_token_batches: 1.5e-6,
			output_cost_per_token_batches: 7.5e-6,
		},
		'gemini/thinker': {
			input_cost_per_token: 5.46875e-7,
			output_cost_per_token: 1e-6,
			output_cost_per_reasoning_token: 3e-6,
		},
		'text-embedding': { input_cost_per_token: 2e-8, output_cost_per_token: 0 },
		image: { output_cost_per_image: 0.04 },
		nonsense: { input_cost_per_token: '1e-6', output_cost_per_token: -1 },
	};

	it('becomes exact rates, tiers and batch rates', () => {
		expect(litellmPrice(LIST, 'gpt-x')).toEqual({
			input_usd_per_million: 0.25,
			cached_input_usd_per_million: 0.025,
			output_usd_per_million: 2,
		});
		expect(litellmPrice(LIST, 'claude-x')).toEqual({
			input_usd_per_million: 3,
			cached_input_usd_per_million: 0.3,
			cache_write_usd_per_million: 3.75,
			output_usd_per_million: 15,
			tiers: [
				{
					tokens_in_above: 200_000,
					input_usd_per_million: 6,
					cached_input_usd_per_million: 0.6,
					// The list is silent about it: in proportion to the input.
					cache_write_usd_per_million: 7.5,
					output_usd_per_million: 22.5,
				},
			],
			batch: { input_usd_per_million: 1.5, output_usd_per_million: 7.5 },
		});
		expect(litellmPrice(LIST, 'gemini/thinker')).toEqual({
			input_usd_per_million: 0.546875,
			output_usd_per_million: 1,
			reasoning_usd_per_million: 3,
		});
	});

	it.each(['sample_spec', 'text-embedding', 'image', 'nonsense', 'unheard of', '__proto__'])(
		'has no price of %s',
		(entry) => {
			expect(litellmPrice(LIST, entry)).toBeNull();
		},
	);

	it('knows providers by their names there', () => {
		expect(litellmEntries('google', 'thinker')).toContain('gemini/thinker');
		expect(litellmEntries('openai', 'gpt-x')).toEqual(['openai/gpt-x', 'gpt-x']);
	});

	it('always becomes a price that a list may hold, never below what it says', () => {
		const perToken = fc.double({ min: 1e-12, max: 1e-3, noNaN: true });
		fc.assert(
			fc.property(perToken, perToken, fc.option(perToken, { nil: undefined }), (input, output, cached) => {
				const entry = {
					input_cost_per_token: input,
					output_cost_per_token: output,
					cache_read_input_token_cost: cached,
				};
				const terms = litellmPrice({ m: entry }, 'm');
				if (terms === null) throw new Error('no price');
				const text = stringify({ version: 'v', as_of: '2026-11-01', models: { m: terms } });
				const { value, problems } = parsePriceList({ file: 'prices.yaml', text });
				expect(problems).toEqual([]);
				const price = value?.get('m');
				expect(price).toEqual(priceOf(terms, { version: 'v', asOf: '2026-11-01' }));
				const exact = input * 1e12;
				expect(Math.abs((price?.inputMicrosPerMillion ?? 0) - exact)).toBeLessThanOrEqual(Math.max(1, exact * 1e-9));
				expect(price?.inputMicrosPerMillion).toBeGreaterThanOrEqual(1);
			}),
		);
	});
});
