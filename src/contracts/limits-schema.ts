import * as z from 'zod';
import { integer, MILLISECONDS, nameKey, share, TOKENS } from './fields.ts';
import { usdToMicros } from './money.ts';

const MOST = 1_000_000_000;

const usd = (description: string) =>
	z
		.number()
		.min(0)
		.max(MOST)
		.refine((amount) => usdToMicros(amount) !== null, 'is finer than a millionth of a dollar')
		.meta({ description, 'x-unit': 'US dollars', 'x-default': 'no limit', examples: [25] })
		.nullable()
		.optional();

const atMost = (description: string, unit?: string) =>
	integer(0, MOST, { description, 'x-default': 'no limit', examples: [600], ...(unit ? { 'x-unit': unit } : {}) })
		.nullable()
		.optional();

const fields = {
	requests_per_minute: atMost('Requests in any 60 seconds.'),
	tokens_per_minute: atMost('Tokens in any 60 seconds, input and output together.', TOKENS),
	concurrent_requests: atMost('Requests that run at once.'),
	cost_usd_per_day: usd('Cost of a UTC day.'),
	cost_usd_per_month: usd('Cost of a UTC month.'),
};
const limitSet = (description: string) => z.strictObject(fields).prefault({}).meta({ description });

/** The name of a tenant, as keys carry it. */
export const tenantKey = z
	.string()
	.regex(/^[a-z0-9][a-z0-9._-]{0,62}$/)
	.meta({ 'x-expected': 'the name of a tenant: lower-case letters, digits, dots, dashes and underscores' });

export const organisationKey = z
	.string()
	.regex(/^[a-z0-9][a-z0-9._-]{0,62}$/)
	.meta({ 'x-expected': 'the name of an organisation: lower-case letters, digits, dots, dashes and underscores' });

const tenant = z
	.strictObject({
		organisation: organisationKey
			.meta({ description: 'The organisation whose limits hold over this tenant too; a name under `organisations`.' })
			.nullable()
			.default(null),
		limits: limitSet(
			'Of the tenant as a whole. What is left out is as under the top-level `limits`; null is no limit.',
		),
		weight: integer(1, 1_000, {
			description:
				'The tenant’s share of the places that become free, against the weights of the other tenants that wait.',
			'x-default': '1',
			examples: [4],
		}).optional(),
		batch_keys: z
			.array(z.string().min(1).max(100))
			.max(1_000)
			.meta({
				description: 'Keys, by id or name, all of whose requests are batch work: they wait behind interactive ones.',
				'x-default': 'none',
				examples: [['nightly']],
			})
			.optional(),
		keys: z
			.record(z.string().min(1).max(100), z.strictObject(fields).meta({ description: 'Limits of one key.' }))
			.meta({
				description:
					'Further limits of single keys, by the key’s id or its name; keys of one name have them each. `jwt:` and an issuer’s name is all of its tokens together.',
				'x-expected': 'a mapping of keys to limits',
				'x-names': ['web-shop'],
			})
			.default({}),
		features: z
			.record(nameKey, z.strictObject(fields).meta({ description: 'Limits of one feature, for this tenant.' }))
			.meta({
				description: 'Further limits of what the tenant asks of single features, by name.',
				'x-expected': 'a mapping of features to limits',
				'x-names': ['ask'],
			})
			.default({}),
		each_user: limitSet('Further limits of each user, for requests that name one.'),
	})
	.meta({ description: 'One tenant. All of its limits hold at once.' });

const organisation = z
	.strictObject({
		limits: limitSet('What all its tenants together may use.'),
	})
	.meta({ description: 'One organisation.' });

/** More names than these in one tenant's settings are a mistake, or worse. */
const NAMES_MAX = 1_000;
const few = <T extends z.ZodType>(schema: T) =>
	schema.refine((names) => Object.keys(names as object).length <= NAMES_MAX, `holds more than ${NAMES_MAX} names`);

/** A tenant's settings as an operator sets them while the server runs: those of the file, and whether it is let in. */
export const tenantSettings = tenant.extend({
	suspended: z.boolean().default(false),
	keys: few(tenant.shape.keys),
	features: few(tenant.shape.features),
});

/** The same of an organisation. */
export const organisationSettings = organisation;

/** `limits`, `organisations` and `tenants` of plimsoll.yaml. */
export const limitFields = {
	limits: limitSet('What every tenant may use, unless `tenants` says otherwise for it.'),
	organisations: z
		.record(organisationKey, organisation)
		.meta({
			description: 'Who several tenants belong to, by name. Its limits hold beside those of the tenants.',
			'x-expected': 'a mapping of organisations to their limits',
			'x-names': ['globex'],
		})
		.default({}),
	tenants: z
		.record(tenantKey, tenant)
		.meta({
			description: 'Limits of single tenants, by name. Tenants exist by their keys; none needs an entry here.',
			'x-expected': 'a mapping of tenants to their limits',
			'x-names': ['acme'],
		})
		.default({}),
};

/** `shared_state` of plimsoll.yaml. */
export const sharedState = z
	.strictObject({
		redis: z
			.string()
			.min(1)
			.max(2_000)
			.meta({
				description:
					'Address of a Redis 7 or Valkey that all replicas share; null keeps the counters in this process. Read at the start.',
				'x-expected': 'a redis or rediss address such as redis://127.0.0.1:6379',
				examples: [{ env: 'REDIS_URL' }],
			})
			.nullable()
			.default(null),
		on_failure: z
			.enum(['local_share', 'fail_closed', 'fail_open'])
			.meta({
				description:
					'While Redis does not answer: `local_share` keeps a share of every limit in this process, `fail_closed` refuses what has limits, `fail_open` lets everything pass. Read at the start.',
			})
			.default('local_share'),
		local_share: share({
			description: 'The share of each limit that this replica keeps by itself: 1 / number of replicas is safe.',
			examples: [0.25],
		}).default(0.25),
		timeout_ms: integer(1, 1_000, {
			description: 'How long a request waits for Redis at most. After three failures in a row none waits any more.',
			'x-unit': MILLISECONDS,
		}).default(10),
	})
	.prefault({})
	.meta({ description: 'Where the counters behind limits live.' });
