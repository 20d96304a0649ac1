import { canonicalJson } from '../base/canonical-json.ts';
import type { ProjectConfig } from '../contracts/project.ts';

/** Settings that are read once, when everything is opened: those that differ from what was started with. */
export function settingsNeedingRestart(started: ProjectConfig, next: ProjectConfig): string[] {
	const readOnce: Readonly<Record<string, (config: ProjectConfig) => string | number>> = {
		data_dir: ({ dataDir }) => dataDir,
		'server.host': ({ server }) => server.host,
		'server.port': ({ server }) => server.port,
		'server.body_bytes_max': ({ server }) => server.bodyBytesMax,
		'server.header_bytes_max': ({ server }) => server.headerBytesMax,
		'server.drain_ms': ({ server }) => server.drainMs,
		'shared_state.redis': ({ sharedState }) => sharedState.redisUrl ?? '',
		'shared_state.on_failure': ({ sharedState }) => sharedState.onFailure,
		'shared_state.local_share': ({ sharedState }) => sharedState.localShare,
		'shared_state.timeout_ms': ({ sharedState }) => sharedState.timeoutMs,
		'idempotency.retention_hours': ({ idempotency }) => idempotency.retentionMs,
		'idempotency.response_bytes_max': ({ idempotency }) => idempotency.responseBytesMax,
		'idempotency.records_max': ({ idempotency }) => idempotency.recordsMax,
		'idempotency.bytes_max': ({ idempotency }) => idempotency.bytesMax,
		'idempotency.on_failure': ({ idempotency }) => idempotency.onFailure,
		index_store: ({ indexStore }) => canonicalJson(indexStore),
		'identity.session_secret': ({ identity }) => identity.sessionSecret ?? '',
		'identity.session_life_s': ({ identity }) => identity.sessionLifeMs,
		'telemetry.retention_days': ({ telemetry }) => telemetry.retentionDays,
		'telemetry.metric_partitions_max': ({ telemetry }) => telemetry.metricPartitionsMax,
		'telemetry.metric_tenants_max': ({ telemetry }) => telemetry.metricTenantsMax,
	};
	const settings = Object.entries(readOnce);
	return settings.filter(([, read]) => read(started) !== read(next)).map(([name]) => name);
}
