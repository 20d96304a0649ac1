import type * as z from 'zod';
import type { AdmissionConfig } from './project.ts';
import type { projectSchema } from './project-schema.ts';

/** `admission` of plimsoll.yaml, with those settings of `server` that belong to it. */
export function admissionOf({ server, admission }: z.output<typeof projectSchema>): AdmissionConfig {
	const { queue, adaptive_limit: adaptive } = admission;
	const max = server.concurrent_requests_max;
	return {
		concurrentRequestsMax: max,
		adaptiveMin: adaptive.enabled ? Math.min(adaptive.concurrent_requests_min, max) : null,
		queuedPerTenantMax: Math.min(queue.requests_per_tenant_max, queue.requests_max),
		queuedMax: queue.requests_max,
		bufferedBytesMax: server.buffered_bytes_max,
	};
}
