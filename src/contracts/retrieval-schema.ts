import * as z from 'zod';
import { boundFilters } from './bound-filter.ts';
import { decimal, integer, nameKey, share, TOKENS, text, upstreamName } from './fields.ts';
import { FAILURE_POLICIES, FLOOR_STEPS } from './release.ts';

/** Shared with the checks that compare it with another field. */
export const K_DEFAULT = 5;
export const HITS_MAX = 200;

/** `retrieval` of a contract. */
export const retrieval = z
	.strictObject({
		collection: nameKey.meta({
			description: 'Where passages come from: a name under `collections` in plimsoll.yaml.',
			examples: ['docs'],
		}),
		k: integer(1, HITS_MAX, { description: 'How many passages are asked for.' }).default(K_DEFAULT),
		mode: z
			.enum(['hybrid', 'lexical', 'vector'])
			.meta({ description: 'Which legs of the search run; null leaves it to the collection.' })
			.nullable()
			.default(null),
		filters: boundFilters,
		hits_min: integer(0, HITS_MAX, {
			description: 'The floor: fewer passages than this are an empty retrieval, see `on_failure.empty_retrieval`.',
		}).default(1),
		score_min: decimal(0, 1_000_000, {
			description: 'Passages with a lower score are left out. Scores depend on the fusion of the collection.',
		}).default(0),
		lexical_score_min: decimal(0, 1_000_000, {
			description:
				'The same for BM25 scores, where BM25 answers alone although more was wanted: after `lexical`, or when the vector leg failed.',
		}).default(0),
		recall_at_k: share({
			description:
				'The share of known-answer queries whose document must be among the first `k`; null expects nothing.',
			examples: [0.9],
		})
			.nullable()
			.default(null),
		tokens_max: integer(1, 1_000_000, {
			description: 'The cap: the most tokens of passages that go into the prompt.',
			'x-unit': TOKENS,
		}).default(3_000),
		over_tokens_max: z
			.enum(['cut', 'summarise'])
			.meta({
				description:
					'What becomes of passages above the cap: `cut` by rank, or `summarise`d for the question by `helper`; what cannot be summarised in time and budget is cut.',
			})
			.default('cut'),
		helper: upstreamName
			.meta({
				description:
					'The upstream that rewrites questions (`rewrite`) and summarises passages; null is the first of `models.route`.',
			})
			.nullable()
			.default(null),
	})
	.nullable()
	.default(null)
	.meta({ description: 'What the feature reads before it answers. Left out: it retrieves nothing.' });

const ENDS = FAILURE_POLICIES.empty_retrieval.filter((action) => action !== 'fall_back' && action !== 'ask_back');
const WORDS = [...FLOOR_STEPS, ...ENDS] as const;

const answered = z
	.strictObject({
		fall_back: text(1, 20_000, { description: 'A fixed answer.' }).optional(),
		ask_back: text(1, 2_000, { description: 'A question to the user.' }).optional(),
	})
	.refine(
		(one) => (one.fall_back === undefined) !== (one.ask_back === undefined),
		'needs one of fall_back and ask_back',
	);

const ONE_EXPECTED = `one of ${WORDS.join(', ')}, {fall_back: "a fixed answer"}, {ask_back: "a question to the user"}`;
const EXPECTED = `${ONE_EXPECTED}, or a list of them`;

const one = z.union([z.enum(WORDS), answered]).meta({ 'x-expected': ONE_EXPECTED });

/** `on_failure.empty_retrieval`: one way, or several that are tried in order. */
export const emptyRetrieval = z
	.union([
		z.enum(WORDS),
		answered,
		z
			.array(one)
			.min(1)
			.max(FLOOR_STEPS.length + 1),
	])
	.meta({
		description:
			'Retrieval found fewer passages than `retrieval.hits_min`. `widen_k`, `lexical` and `rewrite` search again; a list tries them in order and may end with what then happens, else it is `fail_closed`.',
		'x-expected': EXPECTED,
		examples: [['widen_k', 'lexical', 'fail_closed']],
	})
	.default(FAILURE_POLICIES.empty_retrieval[0]);

export type RawEmptyRetrieval = z.output<typeof emptyRetrieval>;
