import * as z from 'zod';
import { integer, MILLISECONDS, NAME_EXPECTED, nameKey, text } from './fields.ts';
import type { SchemaNode } from './schema-node.ts';

const RULES_MAX = 64;
const VARIANTS_MAX = 32;

const variantName = z
	.string()
	.regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/)
	.meta({ 'x-expected': 'a name of letters, digits, dots, hyphens and underscores' });

const values = (description: string, example: string) =>
	z
		.array(z.string().min(1).max(200))
		.min(1)
		.max(1_000)
		.meta({ description, examples: [[example]] })
		.optional();

const conditions = (description: string) =>
	z
		.strictObject({
			tenant: values('The tenant is one of these.', 'acme'),
			feature: values('The feature is one of these.', 'ask-docs'),
			key: values('The key has one of these ids, as `plimsoll keys list` shows them.', '7d2k9x4m1q8z'),
			key_name: values('The key has one of these names.', 'mobile-app'),
			user_hash: values(
				'The user has one of these hashes, as traces show them. They change when the secret of the hashes does.',
				'v1:0f3a5b7c9d1e2f405162738495a6b7c8',
			),
			caller: z
				.array(z.enum(['key', 'token', 'in_process']))
				.min(1)
				.max(3)
				.meta({ description: 'How the caller showed who it is.', examples: [['token']] })
				.optional(),
		})
		.meta({ description })
		.optional();

const split = z
	.strictObject({
		by: z
			.enum(['user', 'tenant'])
			.meta({
				description:
					'What always gets the same variant. A request that names no user counts by its tenant in either case.',
			})
			.default('user'),
		percent: z.record(variantName, z.number().min(0).max(100)).meta({
			description: 'The share of each variant; together 100. A share that grows takes in others and loses nobody.',
			'x-unit': 'percent',
			'x-expected': 'a mapping of variants to shares in percent',
			examples: [{ careful: 10, fast: 90 }],
		}),
	})
	.meta({ description: 'Draws a variant, always the same one for the same user or tenant.' })
	.optional();

const rule = z
	.strictObject({
		name: text(1, 100, { description: 'What `plimsoll flags explain` calls it.' })
			.meta({ 'x-default': 'rule 1, rule 2 and so on', examples: ['ten percent'] })
			.optional(),
		when: conditions('The rule is for requests for which all of these hold. Left out: for every request.'),
		unless: conditions('The rule is not for requests for which all of these hold.'),
		variant: variantName
			.meta({ description: 'What the rule gives; either this or `split`.', examples: ['careful'] })
			.optional(),
		split,
	})
	.meta({ description: 'The first rule that fits a request decides.' });

const flag = z
	.strictObject({
		description: text(0, 2_000, { description: 'What the flag is for, in a sentence.' }).default(''),
		state: z
			.enum(['enabled', 'disabled'])
			.meta({ description: '`disabled`: the rules are not looked at, and the default variant serves.' })
			.default('enabled'),
		variants: z
			.record(variantName, z.union([z.boolean(), z.string().max(2_000), z.number()]))
			.refine((all) => Object.keys(all).length > 0, 'names no variant')
			.refine((all) => Object.keys(all).length <= VARIANTS_MAX, `names more than ${VARIANTS_MAX} variants`)
			.meta({
				description: 'What the flag can be, by name: true or false, texts or numbers, all of one kind.',
				'x-expected': 'a mapping of variants to true or false, texts or numbers',
				examples: [{ fast: 'default', careful: 'careful' }],
			}),
		default_variant: variantName.meta({
			description: 'The variant for a request that no rule fits.',
			examples: ['fast'],
		}),
		salt: text(1, 200, {
			description: 'Flags of one salt draw alike; another salt shuffles everybody anew.',
			'x-default': 'the name of the flag',
			examples: ['2026-12'],
		}).optional(),
		rules: z
			.array(rule)
			.max(RULES_MAX)
			.meta({ description: 'Looked at from the first to the last.', 'x-expected': 'a list of rules' })
			.default([]),
	})
	.meta({ description: 'One flag.' });

/** `flags.yaml`. */
export const flagsSchema = z
	.strictObject({
		flags: z
			.record(nameKey.meta({ 'x-expected': NAME_EXPECTED }), flag)
			.meta({
				description: 'The flags that contracts may use, by name.',
				'x-expected': 'a mapping of names to flags',
				'x-names': ['answer-route'],
			})
			.default({}),
	})
	.meta({ title: 'Plimsoll flags', description: 'Policy flags and A/B assignments of a project: `flags.yaml`.' });

export type RawFlag = z.output<typeof flagsSchema>['flags'][string];

/** The same as JSON Schema (2020-12), for editors, the manual and the text of problems. */
export const flagsJsonSchema = z.toJSONSchema(flagsSchema, { io: 'input' }) as SchemaNode;

/** `flags` in plimsoll.yaml. */
export const flagSettings = z
	.strictObject({
		provider: z
			.strictObject({
				module: text(1, 500, {
					description:
						'A package that is installed in the project’s folder, or a file of it that starts with ./ or ../.',
					examples: ['@openfeature/flagd-provider'],
				}),
				export: z
					.string()
					.regex(/^[A-Za-z_$][\w$]{0,99}$/)
					.meta({
						description: 'The class or function of the module that makes the provider.',
						'x-expected': 'its name',
						examples: ['FlagdProvider'],
					})
					.default('default'),
				options: z
					.record(z.string(), z.unknown())
					.meta({
						description: 'What it is made with: its only argument.',
						'x-expected': 'a mapping',
						examples: [{ host: '127.0.0.1', port: 8013 }],
					})
					.nullable()
					.default(null),
			})
			.meta({ description: 'Any OpenFeature provider for servers. Left out: flags stand in flags.yaml.' })
			.nullable()
			.default(null),
		hmac_secret: z
			.string()
			.meta({
				description:
					'What splits are drawn with, at least 32 characters, the same for every replica. Another secret draws everybody anew.',
				'x-expected': '{env: NAME} or {file: path}',
				'x-default': 'a secret of its own in `data_dir`',
				examples: [{ env: 'FLAGS_SECRET' }],
			})
			.nullable()
			.default(null),
		timeout_ms: integer(1, 10_000, {
			description: 'The most that all flags of a request may take together; then the contract’s own choices hold.',
			'x-unit': MILLISECONDS,
		}).default(50),
		ready_timeout_ms: integer(0, 60_000, {
			description: 'How long the start waits for the provider; it goes on without, and uses it once it is ready.',
			'x-unit': MILLISECONDS,
		}).default(2_000),
	})
	.prefault({})
	.meta({ description: 'Where flags come from and how they are drawn.' });
