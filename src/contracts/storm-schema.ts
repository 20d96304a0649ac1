import * as z from 'zod';
import type { BreakerSettings } from './breaker-settings.ts';
import { integer, MILLISECONDS, share } from './fields.ts';
import type { RetrySettings } from './project.ts';

/** `retries` of plimsoll.yaml. */
export const retries = z
	.strictObject({
		ratio: z
			.number()
			.min(0)
			.max(1)
			.meta({
				description:
					'Retries that each request earns, for every upstream and every tenant: 0.1 lets one request in ten be followed by a retry.',
			})
			.default(0.1),
		floor: integer(0, 1_000, {
			description: 'Retries at an upstream that are allowed before any is earned.',
		}).default(10),
		tenant_floor: integer(0, 1_000, { description: 'The same for each tenant.' }).default(5),
		tenants_max: integer(1, 1_000_000, {
			description:
				'Tenants whose retries are counted; of more, the one that was silent longest is forgotten. Each upstream’s count holds in any case.',
		}).default(10_000),
	})
	.prefault({})
	.meta({
		description:
			'How often upstreams may be asked again, by retries, fail-overs, guards and escalations together. What is earned is saved up to 100.',
	});

/** `breaker` of an upstream. */
export const breaker = z
	.strictObject({
		window_ms: integer(1_000, 600_000, {
			description: 'How long a call counts.',
			'x-unit': MILLISECONDS,
		}).default(10_000),
		calls_min: integer(1, 100_000, {
			description: 'With fewer calls in the window, rates say nothing.',
		}).default(20),
		failure_rate: share({ description: 'The share of the window’s calls that must have failed to open.' }).default(0.5),
		failures_in_a_row: integer(1, 1_000, {
			description: 'So many failures in a row open it too, however few calls there are.',
		}).default(5),
		slow_ms: integer(1, 600_000, {
			description: 'A call is slow when its first token, or its whole plain answer, takes longer; null: none is.',
			'x-unit': MILLISECONDS,
			examples: [8_000],
		})
			.nullable()
			.default(null),
		slow_rate: share({ description: 'The share of the window’s calls that must have been slow to open.' }).default(0.8),
		probe_interval_ms: integer(100, 600_000, {
			description: 'From opening to the first probe, and from the beginning of one probe to the next.',
			'x-unit': MILLISECONDS,
		}).default(5_000),
		quota_ms_max: integer(100, 86_400_000, {
			description: 'The longest that a provider’s `Retry-After` keeps every request away.',
			'x-unit': MILLISECONDS,
		}).default(60_000),
	})
	.nullable()
	.prefault({})
	.meta({ description: 'When the upstream is left alone for a while; null: never, unless an operator says so.' });

export function retriesOf(raw: z.output<typeof retries>): RetrySettings {
	return { ratio: raw.ratio, floor: raw.floor, tenantFloor: raw.tenant_floor, tenantsMax: raw.tenants_max };
}

export function breakerOf(raw: z.output<typeof breaker>): BreakerSettings | null {
	return (
		raw && {
			windowMs: raw.window_ms,
			callsMin: raw.calls_min,
			failureRate: raw.failure_rate,
			failuresInARow: raw.failures_in_a_row,
			slowMs: raw.slow_ms,
			slowRate: raw.slow_rate,
			probeIntervalMs: raw.probe_interval_ms,
			quotaMsMax: raw.quota_ms_max,
		}
	);
}
