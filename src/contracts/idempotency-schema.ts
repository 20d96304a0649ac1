import * as z from 'zod';
import { BYTES, integer } from './fields.ts';

/** `idempotency` of plimsoll.yaml. */
export const idempotency = z
	.strictObject({
		retention_hours: integer(1, 8_760, {
			description: 'How long a key is remembered after its execution ended.',
			'x-unit': 'hours',
		}).default(24),
		response_bytes_max: integer(1_024, 67_108_864, {
			description:
				'The largest response that is kept. A larger one reaches its client, and a repetition of its key is refused rather than executed again.',
			'x-unit': BYTES,
		}).default(2_097_152),
		records_max: integer(1, 10_000_000, {
			description: 'Keys on record for each tenant. More new ones are refused with `idempotency_records_full`.',
		}).default(100_000),
		bytes_max: integer(1_024, 1_099_511_627_776, {
			description: 'Stored responses of each tenant together. The oldest make room; their keys stay refused.',
			'x-unit': BYTES,
		}).default(268_435_456),
		on_failure: z
			.enum(['refuse', 'run'])
			.meta({
				description:
					'When the store of keys does not answer: `refuse` with `idempotency_unavailable`, or `run` the request without protection, which its response and its trace say.',
			})
			.default('refuse'),
	})
	.prefault({})
	.meta({ description: 'What `Idempotency-Key` promises, and how much is kept for it.' });
