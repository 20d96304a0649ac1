import { METRICS, SECONDS_BUCKETS } from '../../src/telemetry/metric-catalogue.ts';
import { cell, GENERATED } from './page.ts';

/** docs/reference/metrics.md: every metric of our own. */
export function metricsPage(): string {
	const lines = [
		'# Metrics',
		'',
		GENERATED,
		'',
		'Every metric of `GET /metrics`, beside those of the process and of Node.js, which have `process_` and `nodejs_` in front.',
		'[Operating with metrics](../operations/metrics.md) says how to collect and use them. `(none)` stands where there is',
		'nothing to name, and `(other)` for the names beyond the 500th of a label.',
		'',
		'| metric | kind | labels | meaning |',
		'|---|---|---|---|',
	];
	for (const [name, row] of Object.entries(METRICS)) {
		const labels = row.labels.map((label) => `\`${label}\``).join(', ');
		const note =
			'ofTenants' in row
				? ' Where `telemetry.metric_tenants_max` is set, and to the scope `admin` alone.'
				: 'ofPartitions' in row
					? ' To the scope `admin` alone; of each collection `telemetry.metric_partitions_max` have a name.'
					: '';
		lines.push(`| \`${name}\` | ${row.kind} | ${labels} | ${cell(row.help)}${note} |`);
	}
	lines.push('', '## Buckets', '', 'Both histograms have these upper bounds, in seconds:', '');
	lines.push(`\`${SECONDS_BUCKETS.join(' ')}\``);
	return `${lines.join('\n')}\n`;
}
