import * as z from 'zod';
import { integer, TOKENS, text } from './fields.ts';
import { usdToMicros } from './money.ts';
import type { SchemaNode } from './schema-node.ts';

/** Where a project's imported prices are, unless it says otherwise. */
export const PRICES_FILE = 'prices.yaml';

const usdPerMillion = (description: string) =>
	z
		.number()
		.min(0)
		.max(1_000_000)
		.refine((usd) => usdToMicros(usd) !== null, 'is finer than a millionth of a dollar')
		.meta({ description, 'x-unit': 'US dollars per million tokens' });

const rates = {
	input_usd_per_million: usdPerMillion('Input tokens that were neither read from a cache nor written to one.')
		.meta({ 'x-default': '**required**, unless the price is free', examples: [0.15] })
		.optional(),
	cached_input_usd_per_million: usdPerMillion('Input tokens that the provider read from its cache.')
		.meta({ 'x-default': 'as `input_usd_per_million`', examples: [0.075] })
		.optional(),
	cache_write_usd_per_million: usdPerMillion('Input tokens that the provider wrote to its cache.')
		.meta({ 'x-default': 'as `input_usd_per_million`', examples: [0.1875] })
		.optional(),
	output_usd_per_million: usdPerMillion('Output tokens.')
		.meta({ 'x-default': '**required**, unless the price is free', examples: [0.6] })
		.optional(),
	reasoning_usd_per_million: usdPerMillion('Output tokens that the model thought and did not say.')
		.meta({ 'x-default': 'as `output_usd_per_million`', examples: [0.6] })
		.optional(),
};

const day = (description: string) =>
	z
		.string()
		.regex(/^\d{4}-\d{2}-\d{2}$/)
		.refine((text) => new Date(text).toJSON()?.startsWith(text) ?? false, 'is no day of the calendar')
		.meta({ description, 'x-expected': 'a day such as 2026-11-01', examples: ['2026-11-01'] });

const terms = {
	...rates,
	tiers: z
		.array(
			z.strictObject({
				tokens_in_above: integer(1, 100_000_000, {
					description: 'Holds for calls with more input tokens than this.',
					'x-unit': TOKENS,
				}),
				...rates,
			}),
		)
		.max(16)
		.meta({
			description:
				'Rates of the whole call where its input is longer: a list of `tokens_in_above` with the rates above, the shortest first.',
			'x-expected': 'a list of tiers',
			'x-default': 'none',
			examples: [[{ tokens_in_above: 200_000, input_usd_per_million: 0.3, output_usd_per_million: 1.2 }]],
		})
		.optional(),
	batch: z
		.strictObject(rates)
		.meta({
			description: 'Rates of calls that the provider serves when it has time (OpenAI’s tier `flex`).',
			'x-default': 'as the others',
			examples: [{ input_usd_per_million: 0.075, output_usd_per_million: 0.3 }],
		})
		.optional(),
	free: z
		.boolean()
		.meta({
			description: 'True: nothing is charged. The only way to say that; a price of 0 is refused.',
			'x-default': '`false`',
			examples: [false],
		})
		.optional(),
};

/** `price` of an upstream. */
export const price = z
	.strictObject({
		version: text(1, 100, {
			description: 'Names this price, such as its date; every trace carries it.',
			'x-default': '**required**, unless the price is free',
			examples: ['2026-11-01'],
		}).optional(),
		as_of: day('The day on which it was the provider’s price.').meta({ 'x-default': 'unknown' }).optional(),
		...terms,
	})
	.meta({
		description:
			'What the provider charges. Null: what the file of prices says of the model; where it says nothing, `prices.unknown` decides.',
	})
	.nullable()
	.default(null);

/** `prices` of plimsoll.yaml. */
export const prices = z
	.strictObject({
		file: text(1, 4_000, {
			description: 'The list that `plimsoll prices import` writes, relative to plimsoll.yaml or absolute.',
			'x-expected': 'a path',
		}).default(PRICES_FILE),
		unknown: z
			.enum(['estimate', 'refuse'])
			.meta({
				description:
					'An upstream without a price: `estimate` reckons it as dear, $30 in and $180 out per million tokens, and says so; `refuse` makes it a mistake of the project.',
			})
			.default('estimate'),
		age_days_max: integer(1, 3_650, {
			description: 'Older prices are warned of by `plimsoll prices`.',
			'x-unit': 'days',
		}).default(90),
	})
	.prefault({})
	.meta({ description: 'What models cost.' });

/** `prices.yaml`. */
export const priceListSchema = z
	.strictObject({
		version: text(1, 100, { description: 'Names the list; every trace carries it.' }),
		as_of: day('The day on which these were the providers’ prices.'),
		source: text(1, 1_000, { description: 'Where they are from.' }).nullable().default(null),
		models: z
			.record(z.string().min(1).max(300), z.strictObject(terms))
			.meta({
				description: 'Prices by `provider/model`, or by model alone.',
				'x-expected': 'a mapping of models to prices',
			})
			.default({}),
	})
	.meta({ title: 'Plimsoll prices', description: 'A list of prices: `prices.yaml`.' });

export type RawTerms = z.output<typeof priceListSchema>['models'][string];
export type RawPriceList = z.output<typeof priceListSchema>;

export const priceListJsonSchema = z.toJSONSchema(priceListSchema, { io: 'input' }) as SchemaNode;
