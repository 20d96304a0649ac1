import * as z from 'zod';
import { SCOPES } from '../spec/records.ts';
import { integer, nameKey, text } from './fields.ts';

const SECONDS = 'seconds';

/** What belongs to a public key. `none` is on no list, and no list holds both of these kinds. */
const ASYMMETRIC = [
	'RS256',
	'RS384',
	'RS512',
	'PS256',
	'PS384',
	'PS512',
	'ES256',
	'ES384',
	'ES512',
	'EdDSA',
	'Ed25519',
] as const;

const SYMMETRIC = ['HS256', 'HS384', 'HS512'] as const;

const algorithms = z
	.array(z.enum(ASYMMETRIC))
	.min(1)
	.max(ASYMMETRIC.length)
	.meta({ description: 'The only signatures that are accepted.', examples: [['RS256']] });

const tenantName = z
	.string()
	.regex(/^[a-z0-9][a-z0-9._-]{0,62}$/)
	.meta({ 'x-expected': 'a tenant: lower-case letters, digits, dots, dashes and underscores' });

const claimName = (description: string) => text(1, 200, { description });

const iss = (example: string) =>
	text(1, 500, { description: 'The `iss` of its tokens, to the letter.', examples: [example] });

const shared = {
	audience: text(1, 500, { description: 'What `aud` must be or contain.', examples: ['plimsoll'] }),
	tenant: tenantName
		.meta({ description: 'Whose all its tokens are; null: the claim `claims.tenant` says it.' })
		.nullable()
		.default(null),
	tenants_allowed: z
		.array(tenantName)
		.min(1)
		.max(1_000)
		.meta({ description: 'The only tenants that the claim may name; null: any.', 'x-expected': 'a list of tenants' })
		.nullable()
		.default(null),
	scopes_allowed: z
		.array(z.enum(SCOPES))
		.max(SCOPES.length)
		.meta({ description: 'The most that a token can be given, whatever its claim says.' })
		.default(['invoke']),
	features_allowed: z
		.array(nameKey)
		.min(1)
		.max(200)
		.meta({
			description: 'The only features that its tokens may call, and then no upstream and no collection; null: all.',
			'x-expected': 'a list of features',
		})
		.nullable()
		.default(null),
	claims: z
		.strictObject({
			tenant: claimName('The tenant, unless `tenant` fixes it.').default('tenant'),
			user: claimName('The user; stored only as a keyed hash, and goes before the `user` of a body.').default('sub'),
			scopes: claimName('The scopes: words in a text, or a list.').default('scope'),
			features: claimName(
				'A list of the features that the token may call; a token without it may then call none. Null: not asked for.',
			)
				.nullable()
				.default(null),
			groups: claimName('The groups of the user, a list of names, see `access` of a collection. Null: not asked for.')
				.nullable()
				.default(null),
			scope_prefix: text(0, 100, {
				description:
					'What stands in front of our scopes in the claim, such as `plimsoll:`; scopes without it do not count.',
			}).default(''),
		})
		.prefault({})
		.meta({
			description:
				'Names of claims. A dot reaches into an object (`realm_access.roles`) where no claim has the whole name.',
		}),
	clock_skew_s: integer(0, 300, {
		description: 'How far the issuer’s clock may be from ours.',
		'x-unit': SECONDS,
	}).default(30),
	age_max_s: integer(1, 31_536_000, {
		description: 'A token issued longer ago is refused, whatever its `exp` says.',
		'x-unit': SECONDS,
	}).default(86_400),
};

const issuer = z
	.discriminatedUnion('keys', [
		z.strictObject({
			keys: z.literal('jwks').meta({ description: 'Its signing keys are fetched from an address, and change there.' }),
			jwks_url: text(1, 2_000, {
				description: 'Where its key set is. Must be https, but for this machine itself.',
				'x-expected': 'an https address',
				examples: ['https://login.example.com/.well-known/jwks.json'],
			}),
			issuer: iss('https://login.example.com/'),
			algorithms,
			...shared,
		}),
		z.strictObject({
			keys: z.literal('file').meta({ description: 'Its signing keys are in a file.' }),
			public_keys: text(1, 1_000_000, {
				description: 'Public keys as PEM, one JWK, or a JWK set.',
				'x-expected': '{file: path} or {env: NAME}',
				examples: [{ file: 'issuer-keys.json' }],
			}),
			issuer: iss('https://partner.example.com/'),
			algorithms,
			...shared,
		}),
		z.strictObject({
			keys: z.literal('secret').meta({ description: 'Issuer and Plimsoll share a secret.' }),
			hmac_secret: text(1, 10_000, {
				description: 'At least 32 characters.',
				'x-expected': '{env: NAME} or {file: path}',
				examples: [{ env: 'JWT_SECRET' }],
			}),
			issuer: iss('backend'),
			algorithms: z
				.array(z.enum(SYMMETRIC))
				.min(1)
				.max(SYMMETRIC.length)
				.meta({ description: 'The only signatures that are accepted.' })
				.default(['HS256']),
			...shared,
		}),
	])
	.meta({ description: 'Who signs tokens that callers may show instead of a key.' });

export const identitySchema = z
	.strictObject({
		session_secret: text(1, 10_000, {
			description:
				'What the dashboard’s sessions are signed with, at least 32 characters. Null: a secret of this data folder, so that sessions hold on this replica alone. Read at the start.',
			'x-expected': '{env: NAME} or {file: path}',
			examples: [{ env: 'SESSION_SECRET' }],
		})
			.nullable()
			.default(null),
		session_life_s: integer(60, 604_800, {
			description: 'How long a session lasts at most. Read at the start.',
			'x-unit': SECONDS,
		}).default(43_200),
		jwt: z
			.record(nameKey, issuer)
			.meta({
				description: 'Issuers of tokens, by name. None: only keys are accepted.',
				'x-expected': 'a mapping of names to issuers',
				'x-names': ['staff', 'partner', 'backend'],
			})
			.default({}),
	})
	.prefault({})
	.meta({ description: 'Who may call. Keys always can; tokens of these issuers as well.' });

export type RawIssuer = z.output<typeof identitySchema>['jwt'][string];
