import * as z from 'zod';
import { fieldName } from './access-schema.ts';
import { integer } from './fields.ts';
import type { PartitionConfig } from './ranking-config.ts';

/** How searches of one part of a collection are kept from those of another. */
export const partition = z
	.strictObject({
		by: fieldName.meta({
			description:
				'`tenant`: the tenant of the caller, which needs `access.tenant_field`; else a field, whose value a filter gives.',
			examples: ['tenant'],
		}),
		searches_max: integer(1, 1_000, { description: 'Searches of one partition at once.' }).default(8),
		queued_max: integer(0, 10_000, { description: 'Searches that may wait for one of these places.' }).default(16),
		over: z
			.enum(['shed', 'lexical'])
			.meta({
				description:
					'What becomes of more: `shed` refuses them with the time to come back; `lexical` searches by words alone, marked degraded, for as many again, and refuses the rest.',
			})
			.default('shed'),
	})
	.nullable()
	.default(null)
	.meta({
		description:
			'Partitions, each with places, a queue and a latency of its own, so that a hot one is busy alone. A search that names no partition has those of `*`. Null: none.',
	});

export function partitionOf(raw: z.output<typeof partition>): PartitionConfig | null {
	return raw && { by: raw.by, searchesMax: raw.searches_max, queuedMax: raw.queued_max, over: raw.over };
}
