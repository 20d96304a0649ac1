import * as z from 'zod';
import { access } from './access-schema.ts';
import { checks } from './checks-schema.ts';
import { chunker } from './chunker-schema.ts';
import { documentRules } from './document-schema.ts';
import { nameKey, text } from './fields.ts';
import { generations } from './generations-schema.ts';
import { ingestion } from './ingestion-schema.ts';
import { partition } from './partition-schema.ts';
import { search } from './search-schema.ts';
import { source } from './source-schema.ts';

/** One collection of `plimsoll.yaml`. */
export const collection = z
	.strictObject({
		sources: z
			.record(nameKey, source)
			.refine((sources) => Object.keys(sources).length > 0, 'names no source')
			.meta({
				description: 'Where its documents come from, by name.',
				'x-expected': 'a mapping of names to sources',
				'x-names': ['manual', 'tickets'],
			}),
		chunker,
		embedder: nameKey
			.meta({ description: 'A name under `embedders`; null searches by words alone.', examples: ['builtin'] })
			.nullable()
			.default(null),
		on_identity_change: z
			.enum(['lexical', 'refuse'])
			.meta({
				description:
					'What becomes of searches while the embedder makes other vectors than those of the live index: `lexical` answers by words alone, marked degraded; `refuse` fails them.',
			})
			.default('lexical'),
		search,
		generations,
		access,
		partition,
		documents: documentRules.prefault({}),
		ingestion,
		canaries: text(1, 4_000, {
			description:
				'A file of queries with known answers, besides those in the folders of features; relative to plimsoll.yaml, or absolute.',
			examples: ['canaries/docs.jsonl'],
			'x-expected': 'a path',
		})
			.nullable()
			.default(null),
		checks,
	})
	.meta({ description: 'Documents that are searched together.' });

export type RawCollection = z.output<typeof collection>;
