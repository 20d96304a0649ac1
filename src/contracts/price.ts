import type { Price, Rates } from '../spec/model.ts';
import type { Checked, Problem } from '../spec/problem.ts';
import { usdToMicros } from './money.ts';
import { priceListJsonSchema, priceListSchema, type RawTerms } from './price-schema.ts';
import { isMapping, valueAt } from './schema-node.ts';
import { accepted, refused, type SourceFile } from './source-file.ts';
import { problemAt, tidy, validate } from './validation.ts';
import { type FieldPath, parseYaml, type YamlDocument } from './yaml-document.ts';

/** The prices of a list, by `provider/model` or by model. */
export type PriceList = ReadonlyMap<string, Price>;

type RawRates = Partial<Record<(typeof RATES)[number], number | undefined>>;

const RATES = [
	'input_usd_per_million',
	'cached_input_usd_per_million',
	'cache_write_usd_per_million',
	'output_usd_per_million',
	'reasoning_usd_per_million',
] as const;
const REQUIRED = ['input_usd_per_million', 'output_usd_per_million'] as const;

/** Reads a list of prices. */
export function parsePriceList(source: Pick<SourceFile, 'file' | 'text'>): Checked<PriceList> {
	const document = parseYaml(source);
	if (!document.readable) return refused(...tidy(document.problems));
	const subject = { document, tree: document.value, sourceOf: () => null };
	const { value, problems } = validate({ zod: priceListSchema, json: priceListJsonSchema }, subject);
	const models = valueAt(document.value, ['models']);
	const names = isMapping(models) ? Object.keys(models) : [];
	const own = names.flatMap((name) => priceProblems(document, document.value, ['models', name]));
	const all = tidy([...document.problems, ...problems, ...own]);
	if (value === null || all.length > 0) return refused(...all);
	const { version, as_of: asOf } = value;
	return accepted(new Map(Object.entries(value.models).map(([name, raw]) => [name, priceOf(raw, { version, asOf })])));
}

/** The list's price of a provider's model. */
export function listedPrice(list: PriceList | null, provider: string, model: string): Price | null {
	return list?.get(`${provider}/${model}`) ?? list?.get(model) ?? null;
}

/** A price with its defaults filled in. */
export function priceOf(raw: RawTerms, { version, asOf }: { version: string; asOf: string | null }): Price {
	const usual = ratesOf(raw);
	return {
		version,
		asOf,
		...usual,
		tiers: (raw.tiers ?? []).map((tier) => ({ tokensInAbove: tier.tokens_in_above, ...ratesOf(tier) })),
		batch: raw.batch === undefined ? null : ratesOf(raw.batch),
	};
}

function ratesOf(raw: RawRates): Rates {
	const input = raw.input_usd_per_million ?? 0;
	const output = raw.output_usd_per_million ?? 0;
	return {
		inputMicrosPerMillion: micros(input),
		cachedInputMicrosPerMillion: micros(raw.cached_input_usd_per_million ?? input),
		cacheWriteMicrosPerMillion: micros(raw.cache_write_usd_per_million ?? input),
		outputMicrosPerMillion: micros(output),
		reasoningMicrosPerMillion: micros(raw.reasoning_usd_per_million ?? output),
	};
}

/** What a schema cannot say about a price: that a rate is missing, or is 0 where nobody said that nothing is charged. */
export function priceProblems(document: YamlDocument, tree: unknown, path: FieldPath): readonly Problem[] {
	const raw = valueAt(tree, path);
	if (!isMapping(raw)) return [];
	if (raw.free === true) {
		const stray = [...RATES, 'tiers', 'batch'].find((key) => raw[key] !== undefined);
		if (stray === undefined) return [];
		const message = 'is a price of what free: true says costs nothing';
		return [problemAt(document, [...path, stray], { message, hint: 'keep one of them' })];
	}
	const tiers = Array.isArray(raw.tiers) ? raw.tiers : [];
	const bounds = tiers.map((tier) => valueAt(tier, ['tokens_in_above']));
	const unsorted = bounds.findIndex((bound, at) => at > 0 && Number(bound) <= Number(bounds[at - 1]));
	return [
		...rateProblems(document, raw, path),
		...tiers.flatMap((tier, at) => rateProblems(document, tier, [...path, 'tiers', at])),
		...(isMapping(raw.batch) ? rateProblems(document, raw.batch, [...path, 'batch']) : []),
		...(unsorted > 0
			? [
					problemAt(document, [...path, 'tiers', unsorted], {
						message: 'tokens_in_above is not above that of the tier before',
						hint: 'put the shortest first',
					}),
				]
			: []),
	];
}

function rateProblems(document: YamlDocument, raw: unknown, path: FieldPath): Problem[] {
	if (!isMapping(raw)) return [];
	const missing = REQUIRED.filter((key) => raw[key] === undefined).map((key) =>
		problemAt(document, [...path, key], { message: 'is missing', hint: 'add it, or say free: true in its place' }),
	);
	const zero = RATES.filter((key) => raw[key] === 0).map((key) =>
		problemAt(document, [...path, key], {
			message: '0 is no price',
			expected: 'a number above 0',
			hint: 'where nothing is charged, write price: {free: true}',
		}),
	);
	return [...missing, ...zero];
}

function micros(usd: number): number {
	const exact = usdToMicros(usd);
	if (exact === null) throw new RangeError(`${usd} US dollars passed the schema but have no exact micro-dollars`);
	return exact;
}
