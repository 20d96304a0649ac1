import * as z from 'zod';
import { decimal, integer, MILLISECONDS, NAME_EXPECTED, nameKey, TOKENS, text } from '../contracts/fields.ts';
import type { SchemaNode } from '../contracts/schema-node.ts';
import { ROUTES } from './asked.ts';
import { faultSchema } from './fault-schema.ts';

const MS_MAX = 3_600_000;
const SECONDS_MAX = 31_536_000;
const COUNT_MAX = 1_000_000_000;

const ms = (description: string, example: number) =>
	integer(0, MS_MAX, { description, 'x-unit': MILLISECONDS, examples: [example] }).optional();

/** A time that varies; which of the four ways it is, its keys say. */
const delay = (description: string) =>
	z
		.strictObject({
			ms: ms('Always the same.', 200),
			min_ms: ms('Evenly between this and `max_ms`.', 50).meta({ examples: [] }),
			max_ms: ms('With `min_ms` its upper end; with `p50_ms` the most that is drawn.', 10_000).meta({ examples: [] }),
			p50_ms: ms('Log-normal: half of all are shorter.', 300).meta({ examples: [] }),
			p99_ms: ms('Log-normal: one in a hundred is longer.', 2_000).meta({ examples: [] }),
			from_ms: ms('A ramp: at the start.', 100).meta({ examples: [] }),
			to_ms: ms('A ramp: at its end, and from then on.', 5_000).meta({ examples: [] }),
			over_s: integer(1, SECONDS_MAX, { description: 'A ramp: how long it takes.', 'x-unit': 'seconds' }).optional(),
			spike_share: decimal(0, 1, { description: 'The share of requests that have a spike.', examples: [0.01] }).default(
				0,
			),
			spike_ms: integer(0, MS_MAX, { description: 'What a spike adds.', 'x-unit': MILLISECONDS }).default(0),
		})
		.meta({
			description: `${description} One of \`ms\`; \`min_ms\` and \`max_ms\`; \`p50_ms\` and \`p99_ms\`; \`from_ms\`, \`to_ms\` and \`over_s\`.`,
		})
		.nullable()
		.default(null);

const limits = {
	requests_per_minute: integer(1, COUNT_MAX, {
		description: 'Requests of one key in a minute.',
		'x-default': 'no limit',
		examples: [600],
	}).optional(),
	tokens_per_minute: integer(1, COUNT_MAX, {
		description: 'Tokens of one key in a minute, input and output together.',
		'x-unit': TOKENS,
		'x-default': 'no limit',
		examples: [100_000],
	}).optional(),
};

const tokens = (description: string, example: number) =>
	integer(0, 10_000_000, { description, 'x-unit': TOKENS, 'x-default': 'counted', examples: [example] }).optional();

const answer = z
	.strictObject({
		text: text(0, 1_000_000, {
			description: 'What the model says.',
			'x-default':
				'a sentence about ships; a sample of the schema where the request has one; a call where it has tools',
			examples: ['Aye.'],
		}).optional(),
		thinking: text(1, 1_000_000, {
			description: 'What it thinks before.',
			'x-default': 'a sentence, where the request asks it to think',
			examples: ['Let me see.'],
		}).optional(),
		tool_calls: integer(0, 16, {
			description: 'How many of the offered tools it calls.',
			'x-default': 'one, where `text` is not set',
			examples: [1],
		}).optional(),
		chunks: integer(1, 100_000, {
			description: 'Into how many pieces a stream cuts the text.',
			'x-default': 'one a word',
			examples: [50],
		}).optional(),
		tokens_in: tokens('Input tokens that it reports.', 1_000),
		tokens_out: tokens('Output tokens that it reports.', 200),
		tokens_cached: tokens('Input tokens that were read from a cache, as a part of `tokens_in`.', 400).meta({
			'x-default': '0',
		}),
		tokens_cache_written: tokens('Input tokens that were written to a cache, another part.', 100).meta({
			'x-default': '0',
		}),
		tokens_reasoning: tokens('Output tokens that were thought, as a part of `tokens_out`.', 50),
	})
	.meta({ description: 'What a healthy answer says.' });

const seconds = (description: string, example: number) =>
	integer(0, SECONDS_MAX, {
		description,
		'x-unit': 'seconds',
		'x-default': 'no bound',
		examples: [example],
	}).optional();
const ordinal = (description: string) =>
	integer(1, COUNT_MAX, { description, 'x-default': 'no bound', examples: [1] }).optional();
const some = (description: string, example: string) =>
	z
		.array(z.string().min(1).max(200))
		.min(1)
		.max(100)
		.meta({ description, 'x-default': 'all', examples: [[example]] })
		.optional();

const when = z
	.strictObject({
		routes: z
			.array(z.enum(ROUTES))
			.min(1)
			.max(ROUTES.length)
			.meta({ description: 'For which kinds of request.', 'x-default': 'all', examples: [['chat', 'messages']] })
			.optional(),
		stream: z
			.boolean()
			.meta({ description: 'Only streams, or only plain answers.', 'x-default': 'both', examples: [true] })
			.optional(),
		models: some('For these models; a `*` at the end stands for any ending.', 'gpt-*'),
		keys: some('For callers with these keys.', 'sk-poor'),
		from_s: seconds('From this time after the start, or after the start of a period.', 60),
		until_s: seconds('Until this time.', 120),
		every_s: integer(1, SECONDS_MAX, {
			description: 'Repeats: the length of a period. That is flapping.',
			'x-unit': 'seconds',
			'x-default': 'once',
			examples: [300],
		}).optional(),
		from_request: ordinal('From this request on that meets the other conditions, counted from 1.'),
		until_request: ordinal('Up to and with this request.'),
		every_requests: ordinal('Repeats: the length of a round of requests.').meta({
			'x-default': 'once',
			examples: [10],
		}),
	})
	.meta({ description: 'When the rule holds. Left out: always.' });

const rule = z
	.strictObject({
		when: when.prefault({}),
		share: decimal(0, 1, { description: 'The share of those requests that it strikes, drawn by the seed.' }).default(1),
		fault: faultSchema
			.meta({
				description: 'What goes wrong.',
				'x-default': 'nothing does',
				examples: [{ kind: 'cut', at_byte: 100 }],
			})
			.optional(),
		latency: delay('In the place of the top-level `latency`.'),
		first_token: delay('In the place of the top-level `first_token`.'),
		answer: answer.prefault({}).meta({ description: 'What differs from the top-level `answer`.' }),
	})
	.meta({ description: 'The first rule that holds and strikes decides; without one the answer is healthy.' });

/** The script of a mock upstream. */
export const scriptSchema = z
	.strictObject({
		seed: integer(0, 2_147_483_647, {
			description: 'The same seed and the same requests give the same answers. `--seed` overrides it.',
		}).default(1),
		models: z
			.array(z.string().min(1).max(200))
			.min(1)
			.max(1_000)
			.meta({ description: 'What the lists of models name. Any other model answers too.' })
			.default(['mock-1', 'mock-embed']),
		latency: delay('Before the head of every response.'),
		first_token: delay('Between the head and the first token of a stream.'),
		gap: delay('Between two pieces of a stream.'),
		answer: answer.prefault({}),
		limits: z
			.strictObject(limits)
			.prefault({})
			.meta({ description: 'What every key may use before it is refused with 429. Set limits are told in headers.' }),
		keys_required: z.boolean().meta({ description: 'Refuses callers without one of the `keys`.' }).default(false),
		keys: z
			.record(z.string().min(1).max(200), z.strictObject(limits).meta({ description: 'Limits of one key.' }))
			.meta({
				description: 'Keys with limits of their own. They open nothing: a key of a real vendor does not belong here.',
				'x-expected': 'a mapping of keys to limits',
				'x-names': ['sk-poor'],
			})
			.default({}),
		rules: z
			.record(nameKey.meta({ 'x-expected': NAME_EXPECTED }), rule)
			.meta({
				description: 'What goes wrong and when, by name, tried in order.',
				'x-expected': 'a mapping of names to rules',
				'x-names': ['flaky'],
			})
			.default({}),
	})
	.meta({ title: 'Plimsoll mock upstream', description: 'How `plimsoll mock-upstream` misbehaves.' });

export type RawScript = z.output<typeof scriptSchema>;
export type RawRule = RawScript['rules'][string];
export type RawDelay = NonNullable<RawScript['latency']>;
export type RawLimits = RawScript['limits'];

/** The same as JSON Schema (2020-12), for editors, the manual and the text of problems. */
export const scriptJsonSchema = z.toJSONSchema(scriptSchema, { io: 'input' }) as SchemaNode;
