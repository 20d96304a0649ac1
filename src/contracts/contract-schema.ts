import * as z from 'zod';
import { PRIORITIES } from '../spec/priority.ts';
import { decimal, integer, MILLISECONDS, nameKey, share, TOKENS, text, upstreamName } from './fields.ts';
import { usdToMicros } from './money.ts';
import { type BareAction, FAILURE_POLICIES, type FailureSituation } from './release.ts';
import { emptyRetrieval, retrieval } from './retrieval-schema.ts';
import type { SchemaNode } from './schema-node.ts';

/** Plimsoll's own business: a contract cannot set them, and `n` would multiply the cost behind the budget's back. */
const OWN_PARAMETERS = ['model', 'messages', 'stream', 'stream_options', 'n'];
const OUTPUT_LIMITS = ['max_tokens', 'max_completion_tokens'];
const DEFAULT_CLIENT_PARAMETERS = [...OUTPUT_LIMITS, 'temperature', 'top_p', 'stop', 'seed'];

/** Shared with the checks that compare two fields, one of which may be left out. */
export const DEADLINE_DEFAULT_MS = 30_000;
export const TOKENS_IN_DEFAULT = 6_000;
export const PROMPT_DEFAULT = 'answer';

const ROUTES_MAX = 16;
const VARIABLES_MAX = 32;

const parameterName = z.string().regex(/^[a-z][a-z0-9_]{0,63}$/);

const objective = z
	.strictObject({
		latency_ms_p95: integer(1, 600_000, {
			description:
				'The promise: 95 of 100 requests end within this time. Checked over traces, never enforced by waiting.',
			'x-unit': MILLISECONDS,
		}).default(8_000),
		time_to_first_token_ms_p95: integer(1, 600_000, {
			description: 'The same promise for the first token of a streamed answer; null makes none.',
			'x-unit': MILLISECONDS,
		})
			.nullable()
			.default(null),
		availability: share({
			description: 'The share of requests that must be answered, degraded answers included.',
		}).default(0.99),
	})
	.prefault({})
	.meta({ description: 'What the feature promises to its callers.' });

const stepShare = z
	.strictObject({
		retrieve: share({ description: 'For retrieval.' }).default(0.25),
		generate: share({ description: 'For all attempts at upstreams together.' }).default(0.9),
	})
	.prefault({})
	.meta({ description: 'The most that one step may take, as a share of `deadline_ms`.' });

const budget = z
	.strictObject({
		tokens_in_max: integer(16, 2_000_000, {
			description: 'The assembled prompt is trimmed to this size; what cannot be trimmed to it is refused.',
			'x-unit': TOKENS,
		}).default(TOKENS_IN_DEFAULT),
		tokens_out_max: integer(1, 200_000, {
			description: 'The longest answer. Sent to the upstream as its limit; a client can ask for less, never for more.',
			'x-unit': TOKENS,
		}).default(800),
		cost_usd_max: z
			.number()
			.min(0)
			.max(10_000)
			.refine((usd) => usdToMicros(usd) !== null, 'is finer than a millionth of a dollar')
			.meta({
				description: 'The most that one request may cost, all attempts together; null sets no cap.',
				'x-unit': 'US dollars',
			})
			.nullable()
			.default(0.5),
		deadline_ms: integer(10, 600_000, {
			description: 'The instant, counted from the arrival of the request, by which it ends, whatever happens.',
			'x-unit': MILLISECONDS,
		}).default(DEADLINE_DEFAULT_MS),
		step_share: stepShare,
	})
	.prefault({})
	.meta({ description: 'Hard caps for one request, enforced in code.' });

const hedge = z
	.strictObject({
		after_ms: integer(1, 600_000, {
			description: 'After so long.',
			'x-unit': MILLISECONDS,
			examples: [900],
		})
			.nullable()
			.default(null),
		after_quantile: decimal(0.5, 0.999, {
			description:
				'After longer than this share of its upstream’s latest answers took: streams until their first token, others whole.',
			examples: [0.95],
		})
			.nullable()
			.default(null),
		samples_min: integer(5, 200, {
			description: 'Of `after_quantile`: so many answers must be known before anything is hedged.',
		}).default(20),
	})
	.nullable()
	.default(null)
	.meta({
		description:
			'When an attempt has produced nothing yet, the next upstream of the route is asked beside it, within the retry budgets and the cost cap; the first answer counts. One of `after_ms` and `after_quantile`; null: never.',
		examples: [{ after_quantile: 0.95 }],
	});

const models = z
	.strictObject({
		route: z
			.array(upstreamName)
			.min(1)
			.max(16)
			.meta({
				description:
					'Upstreams in order of preference. Optional upstreams whose environment variables are unset are left out.',
				examples: [['openai/default', 'local/extractive']],
			}),
		routes: z
			.record(nameKey, z.array(upstreamName).min(1).max(16))
			.refine((routes) => Object.keys(routes).length <= ROUTES_MAX, `names more than ${ROUTES_MAX} routes`)
			.meta({
				description:
					'Other routes by name, between which the flag of `flags.route` chooses; `default` is the name of `route`.',
				'x-expected': 'a mapping of names to lists of upstreams',
				examples: [{ careful: ['local/extractive'] }],
			})
			.default({}),
		equals: z
			.array(
				z.strictObject({
					upstreams: z
						.record(upstreamName, integer(1, 1_000, { description: 'How much of the traffic, against the others.' }))
						.refine((weights) => Object.keys(weights).length >= 2, 'names fewer than two upstreams')
						.meta({
							description: 'The upstreams, each with its weight.',
							'x-expected': 'a mapping of at least two upstreams to weights',
							'x-names': ['openai/default'],
						}),
					by: z
						.enum(['load', 'weight'])
						.meta({
							description:
								'`weight`: drawn by weight; `load`: of two so drawn, the one with fewer calls under way for its weight.',
						})
						.default('load'),
				}),
			)
			.max(16)
			.meta({
				description:
					'Upstreams that are as good as one another: in every route they change places, so that each request begins with any of them.',
				examples: [[{ upstreams: { 'openai/default': 3, 'local/extractive': 1 } }]],
			})
			.default([]),
		escalate_to: upstreamName
			.meta({ description: 'A stronger upstream for `escalate`; null when there is none.' })
			.nullable()
			.default(null),
		parameters: z
			.record(parameterName, z.unknown())
			.refine((names) => ![...OWN_PARAMETERS, ...OUTPUT_LIMITS].some((name) => Object.hasOwn(names, name)), {
				message: `sets one of ${[...OWN_PARAMETERS, ...OUTPUT_LIMITS].join(', ')}, which Plimsoll sets itself`,
			})
			.meta({
				description:
					'Parameters sent with every call, named as in OpenAI’s API. The longest answer stands under `budget`.',
				examples: [{ temperature: 0 }],
				'x-expected': 'a mapping of parameter names to values',
			})
			.default({}),
		client_parameters: z
			.array(parameterName.meta({ 'x-expected': 'the name of a request parameter, such as temperature' }))
			.max(64)
			.refine((names) => !names.some((name) => OWN_PARAMETERS.includes(name)), {
				message: `lists one of ${OWN_PARAMETERS.join(', ')}, which are not the client’s to tune`,
			})
			.meta({ description: 'Parameters that a client may set on top; any other is refused by name.' })
			.default(DEFAULT_CLIENT_PARAMETERS),
		attempts_max: integer(1, 10, {
			description: 'Attempts at upstreams for one request, the first one included.',
		}).default(3),
		thinking: z
			.enum(['drop', 'pass'])
			.meta({
				description:
					'Whether clients are told what models think before they answer. `pass`: as it comes in an `immediate` stream, before the answer otherwise, and not in a `held` stream; no guard looks at it. `drop`: it is counted and not told.',
			})
			.default('drop'),
		hedge,
	})
	.meta({ description: 'Which upstreams may answer, and how they are called.' });

const guards = z
	.strictObject({
		output_schema: z
			.string()
			.regex(/^schemas\/[A-Za-z0-9][A-Za-z0-9._-]*\.json$/)
			.meta({
				description: 'A JSON Schema (2020-12) that the answer must satisfy as JSON; null takes any text.',
				'x-expected': 'a file of this feature such as schemas/output.json',
				examples: ['schemas/output.json'],
			})
			.nullable()
			.default(null),
		structured_output: z
			.enum(['auto', 'prompt', 'off'])
			.meta({
				description:
					'How an answer of `output_schema` is asked for. `auto`: upstreams that can be held to the schema are, and the prompt asks the others; `prompt`: the prompt asks; both repair an answer and ask once more when it does not fit. `off`: the answer is only checked.',
			})
			.default('auto'),
		output_formats: z
			.enum(['assertion', 'annotation'])
			.meta({
				description:
					'What `format` means in `output_schema`. `assertion`: an answer is held to it, and a format that is not known is an error; `annotation`: it says what is meant and nothing is checked, as JSON Schema has it by itself.',
			})
			.default('assertion'),
		citations: z
			.enum(['required', 'valid', 'off'])
			.meta({
				description:
					'`required`: the answer cites at least one passage as [n] and no unknown one; `valid`: no unknown one; `off`: not looked at.',
				'x-default': '`valid` when the contract has `retrieval`, else `off`',
				examples: ['valid'],
			})
			.optional(),
		abstention: z
			.string()
			.min(1)
			.max(1000)
			.nullable()
			.meta({
				description:
					'What the feature says when it does not know. An answer of exactly this text passes without a citation. Tell the model to use it; `local/extractive` does by itself.',
				examples: ['The manual does not say.'],
			})
			.default(null),
		answer_chars_max: integer(1, 4_000_000, {
			description: 'A longer answer fails the guard.',
			'x-unit': 'characters',
		}).default(20_000),
	})
	.prefault({})
	.meta({ description: 'Checks that an answer passes before it counts as one.' });

/** An empty retrieval has ways of its own, see retrieval-schema.ts. */
type PlainSituation = Exclude<FailureSituation, 'empty_retrieval'>;

const SITUATIONS: Readonly<Record<PlainSituation, string>> = {
	upstream_timeout: 'No answer within the upstream’s time-outs.',
	upstream_outage: 'The upstream cannot be reached or answers with a server error.',
	upstream_quota: 'The provider refuses for rate limits or quota.',
	budget_exceeded:
		'The prompt does not fit `budget.tokens_in_max`, or the call could cost more than `budget.cost_usd_max`.',
	invalid_output: 'The answer failed a guard.',
	stream_broken: 'The answer broke off, or fell silent, before its end.',
	feature_disabled: 'The flag of `flags.enabled` switched the feature off.',
};

function failurePolicy(situation: PlainSituation) {
	const allowed: readonly (BareAction | 'fall_back')[] = FAILURE_POLICIES[situation];
	const bare = allowed.filter((action) => action !== 'fall_back');
	const expected = allowed.map((action) => (action === 'fall_back' ? '{fall_back: "a fixed answer"}' : action));
	return z
		.union([z.enum(bare), z.strictObject({ fall_back: text(1, 20_000, { description: 'A fixed answer.' }) })])
		.meta({ description: SITUATIONS[situation], 'x-expected': `one of ${expected.join(', ')}` })
		.default(FAILURE_POLICIES[situation][0]);
}

const onFailure = z
	.strictObject({
		upstream_timeout: failurePolicy('upstream_timeout'),
		upstream_outage: failurePolicy('upstream_outage'),
		upstream_quota: failurePolicy('upstream_quota'),
		empty_retrieval: emptyRetrieval,
		budget_exceeded: failurePolicy('budget_exceeded'),
		invalid_output: failurePolicy('invalid_output'),
		stream_broken: failurePolicy('stream_broken'),
		feature_disabled: failurePolicy('feature_disabled'),
	} satisfies Record<FailureSituation, unknown>)
	.prefault({})
	.meta({
		description:
			'What to do when something goes wrong: `retry` the same upstream, `fail_over` to the next one of the route, `continue` what the client has seen at another one, `escalate` to `models.escalate_to`, `degrade` (go on without), `fall_back` to a fixed answer, or `fail_closed` with the error. Each situation allows some of them.',
	});

const flagName = nameKey.meta({ 'x-expected': 'the name of a flag, such as answer-route' });

const flags = z
	.strictObject({
		enabled: flagName
			.meta({
				description: 'A flag of true or false; false switches the feature off, see `on_failure.feature_disabled`.',
			})
			.nullable()
			.default(null),
		route: flagName
			.meta({ description: 'A flag of texts that chooses a route of `models.routes`, or `default`.' })
			.nullable()
			.default(null),
		prompt_version: flagName
			.meta({ description: 'A flag of texts that chooses a version of the prompt, such as 1.2.0.' })
			.nullable()
			.default(null),
		variables: z
			.record(parameterName, flagName)
			.refine((all) => Object.keys(all).length <= VARIABLES_MAX, `names more than ${VARIABLES_MAX} variables`)
			.meta({
				description:
					'Variables of the prompt’s input that flags decide, each with its flag. They go before what a client sends.',
				'x-expected': 'a mapping of variables to flags',
				examples: [{ tone: 'answer-tone' }],
			})
			.default({}),
	})
	.prefault({})
	.meta({ description: 'What flags decide, once for each request. Left out: none is looked at.' });

/** `contract.yaml`. */
export const contractSchema = z
	.strictObject({
		owner: text(1, 200, { description: 'Who answers for the feature: a team or a person.', examples: ['docs-team'] }),
		description: text(0, 2_000, { description: 'What the feature is for, in a sentence.' }).default(''),
		example_question: text(1, 500, {
			description: 'A question that the feature answers well; `plimsoll start` shows it as a first request.',
			examples: ['How do I return an order?'],
		})
			.nullable()
			.default(null),
		priority: z
			.enum(PRIORITIES)
			.meta({
				description:
					'`batch`: requests wait behind interactive ones, and are refused first under pressure. A client or a key can lower it, never raise it.',
			})
			.default('interactive'),
		objective,
		budget,
		retrieval,
		prompt: z
			.string()
			.regex(/^[A-Za-z0-9][A-Za-z0-9-]{0,63}(@\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?)?$/)
			.meta({
				description: 'Name of a file under `prompts/` without its ending; with @version to pin one of several.',
				'x-expected': 'a prompt’s name such as answer, or answer@1.2.0',
			})
			.default(PROMPT_DEFAULT),
		models,
		guards,
		stream: z
			.enum(['immediate', 'held', 'buffered'])
			.meta({
				description:
					'`buffered`: a streaming client gets nothing before the guards passed; `held`: the guards that can look at a part do so before it is sent, and the others at the end; `immediate`: it gets tokens as they come, and a failed guard ends the stream with an error.',
			})
			.default('buffered'),
		stream_window_chars: integer(16, 100_000, {
			description:
				'How much of a `held` stream is kept back: nothing that a guard finds in so few characters is ever sent.',
			'x-unit': 'characters',
		}).default(200),
		on_failure: onFailure,
		flags,
	})
	.meta({ title: 'Plimsoll contract', description: 'What one AI feature promises: `features/<name>/contract.yaml`.' });

export type RawContract = z.output<typeof contractSchema>;

/** The same as JSON Schema (2020-12), for editors, the manual and the text of problems. */
export const contractJsonSchema = z.toJSONSchema(contractSchema, { io: 'input' }) as SchemaNode;
