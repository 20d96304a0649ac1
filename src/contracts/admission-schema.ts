import * as z from 'zod';
import { integer } from './fields.ts';

/** `admission` of plimsoll.yaml. */
export const admissionSchema = z
	.strictObject({
		queue: z
			.strictObject({
				requests_per_tenant_max: integer(0, 10_000, {
					description: 'How many requests of one tenant may wait for a place; 0 refuses at once what finds none free.',
				}).default(64),
				requests_max: integer(0, 100_000, {
					description:
						'How many requests of all tenants together may wait. When so many do, those of the tenant with most of them give way.',
				}).default(1_024),
			})
			.prefault({})
			.meta({ description: 'Where requests wait that find no place free.' }),
		adaptive_limit: z
			.strictObject({
				enabled: z
					.boolean()
					.meta({
						description:
							'Lets fewer requests run than `server.concurrent_requests_max` while upstreams take longer than they used to.',
					})
					.default(true),
				concurrent_requests_min: integer(1, 100_000, {
					description: 'The adaptive limit never falls below this.',
				}).default(32),
			})
			.prefault({})
			.meta({ description: 'A limit on running requests that follows the latency of upstreams.' }),
	})
	.prefault({})
	.meta({ description: 'How many requests run, and who waits.' });
