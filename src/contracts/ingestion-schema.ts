import * as z from 'zod';
import { decimal, integer } from './fields.ts';

const part = (description: string) => decimal(0, 1, { description, 'x-unit': 'share' });

/** When what was built does not go live. */
const checks = z
	.strictObject({
		documents_drop_max: part('Of a source’s documents, how many may be gone at once.').default(0.1),
		chunks_drop_max: part('Of a source’s chunks, how many may be gone at once.').default(0.2),
		field_fill_drop_max: part('By how much the share of documents that have a field may fall.').default(0.1),
		failed_share_max: part(
			'Of a source’s documents, how many may fail in one run, beyond those that were accepted before.',
		).default(0.2),
		quarantined_share_max: part(
			'Of a source’s documents, how many may not fit, beyond those that were accepted before.',
		).default(0.2),
		shift_min: part(
			'The least change of the mix of languages, of types or of sizes that counts: the share of documents that would have to change sides.',
		).default(0.1),
		shift_alpha: decimal(0.000_001, 0.1, {
			description: 'How often all comparisons of a run together may raise a false alarm.',
		}).default(0.001),
		documents_min: integer(1, 1_000_000, {
			description: 'Fewer documents than this are never a drop, a loss or a failed share.',
		}).default(10),
	})
	.prefault({})
	.meta({
		description:
			'A run that goes beyond one of these stops before anything goes live, and an alert is raised; `plimsoll ingest --accept` takes what it found for right.',
	});

/** How a collection is ingested. */
export const ingestion = z
	.strictObject({
		misfits: z
			.enum(['keep_last_good', 'remove'])
			.meta({ description: 'What becomes of an indexed document whose new content does not fit.' })
			.default('keep_last_good'),
		quarantine_documents_max: integer(0, 1_000_000, {
			description: 'Documents that are listed with their reasons; those beyond are counted.',
		}).default(10_000),
		cost_usd_max: decimal(0, 1_000_000, {
			description: 'What one run may spend on embeddings, by the price of the embedder; null: no cap.',
			'x-unit': 'USD',
		})
			.nullable()
			.default(null),
		checks,
	})
	.prefault({})
	.meta({ description: 'How documents are taken in.' });
