import * as z from 'zod';
import { admissionSchema } from './admission-schema.ts';
import { alerts } from './alerts-schema.ts';
import { collection } from './collection-schema.ts';
import { embedder } from './embedder-schema.ts';
import { feedback } from './feedback-schema.ts';
import { BYTES, integer, MILLISECONDS, NAME_EXPECTED, nameKey, text, upstreamName } from './fields.ts';
import { flagSettings } from './flags-schema.ts';
import { idempotency } from './idempotency-schema.ts';
import { identitySchema } from './identity-schema.ts';
import { images } from './images-schema.ts';
import { indexStore } from './index-store-schema.ts';
import { limitFields, sharedState } from './limits-schema.ts';
import { prices } from './price-schema.ts';
import type { SchemaNode } from './schema-node.ts';
import { retries } from './storm-schema.ts';
import { UPSTREAM_EXAMPLES, upstream } from './upstream-schema.ts';

/** Also assumed when the file is too broken to say. */
export const DATA_DIR = '.plimsoll';
export const FEATURES_DIR = 'features';

/** Shared with the checks that compare two fields, one of which may be left out. */
export const BODY_BYTES_DEFAULT = 1_048_576;
export const PLACES_DEFAULT = 512;

const server = z
	.strictObject({
		host: text(1, 253, { description: 'The address to listen on. 0.0.0.0 opens it to the network.' }).default(
			'127.0.0.1',
		),
		port: integer(0, 65_535, { description: 'The port; 0 takes a free one.' }).default(4_600),
		body_bytes_max: integer(1_024, 268_435_456, { description: 'The largest request body.', 'x-unit': BYTES }).default(
			BODY_BYTES_DEFAULT,
		),
		header_bytes_max: integer(1_024, 1_048_576, {
			description: 'All headers of a request together.',
			'x-unit': BYTES,
		}).default(16_384),
		concurrent_requests_max: integer(1, 100_000, {
			description: 'How many requests run at once; more wait, see `admission.queue`.',
		}).default(PLACES_DEFAULT),
		buffered_bytes_max: integer(65_536, 1_099_511_627_776, {
			description:
				'Everything that is held in memory for requests: bodies, answers that wait for their guards, and what clients do not take. Beyond it requests are refused.',
			'x-unit': BYTES,
		}).default(268_435_456),
		drain_ms: integer(0, 600_000, {
			description: 'How long a stop waits for running requests.',
			'x-unit': MILLISECONDS,
		}).default(10_000),
		metrics: z
			.enum(['key', 'open'])
			.meta({
				description:
					'Who may read `/metrics`: whoever shows a `key` with the scope admin, or, with `open`, everyone who reaches the port. Tenants are named to the scope admin alone.',
			})
			.default('key'),
	})
	.prefault({})
	.meta({ description: 'The gateway.' });

const folder = z.string().min(1).max(4_000).meta({ 'x-expected': 'a path' });

/** `plimsoll.yaml`. */
export const projectSchema = z
	.strictObject({
		data_dir: folder
			.meta({ description: 'Where indexes, traces and records are kept, relative to plimsoll.yaml or absolute.' })
			.default(DATA_DIR),
		features_dir: folder
			.meta({ description: 'The folder with one folder per feature, relative to plimsoll.yaml or absolute.' })
			.default(FEATURES_DIR),
		server,
		telemetry: z
			.strictObject({
				retention_days: integer(1, 3_650, { description: 'Older traces are removed.', 'x-unit': 'days' }).default(30),
				metric_tenants_max: integer(0, 10_000, {
					description:
						'How many tenants metrics tell apart, the first that come; all others are one. 0: tenants are in no metric.',
				}).default(0),
				metric_partitions_max: integer(0, 1_000, {
					description:
						'How many partitions of each collection metrics tell apart, the busiest when somebody looks; all others are one. 0: none is named.',
				}).default(20),
			})
			.prefault({})
			.meta({ description: 'Traces and metrics.' }),
		feedback,
		alerts,
		admission: admissionSchema,
		identity: identitySchema,
		bare: z
			.strictObject({
				deadline_ms: integer(10, 600_000, { description: 'The whole request.', 'x-unit': MILLISECONDS }).default(
					60_000,
				),
				attempts_max: integer(1, 10, { description: 'Attempts, the first one included.' }).default(2),
				images,
			})
			.prefault({})
			.meta({ description: 'For requests that name an upstream, and no feature, as their model.' }),
		prices,
		...limitFields,
		retries,
		shared_state: sharedState,
		idempotency,
		index_store: indexStore,
		flags: flagSettings,
		upstreams: z
			.record(upstreamName, upstream)
			.meta({
				description: 'The models that features may use, by name.',
				'x-expected': 'a mapping of names to upstreams',
				'x-names': UPSTREAM_EXAMPLES,
			})
			.default({}),
		embedders: z
			.record(nameKey, embedder)
			.meta({
				description: 'The embedders that collections and clients may use, by name.',
				'x-expected': 'a mapping of names to embedders',
				'x-names': ['builtin', 'hosted', 'sentences'],
			})
			.default({}),
		collections: z
			.record(nameKey.meta({ 'x-expected': NAME_EXPECTED }), collection)
			.meta({
				description: 'The collections that features may retrieve from, by name.',
				'x-expected': 'a mapping of names to collections',
				'x-names': ['docs'],
			})
			.default({}),
	})
	.meta({ title: 'Plimsoll project', description: 'One deployment: `plimsoll.yaml`.' });

export type RawProject = z.output<typeof projectSchema>;

/** The same as JSON Schema (2020-12), for editors, the manual and the text of problems. */
export const projectJsonSchema = z.toJSONSchema(projectSchema, { io: 'input' }) as SchemaNode;
