import { METRICS_CONTENT_TYPE } from '../telemetry/metrics.ts';
import type { Exchange, Route } from './route.ts';

/** What the server adds up to, for whoever collects it. */
export const METRICS_ROUTES: readonly Route[] = [
	{
		method: 'GET',
		path: '/metrics',
		scope: 'admin',
		isOpened: ({ metricsAreOpen }) => metricsAreOpen,
		traced: false,
		summary:
			'The server’s metrics in Prometheus’ text format, of all tenants together. Without a key where server.metrics is open; tenants are named to the scope admin alone.',
		body: null,
		handle: showMetrics,
	},
];

async function showMetrics({ reply, parts, caller }: Exchange): Promise<string> {
	const page = await parts.operator.metrics({ withTenants: caller !== null });
	// Numbers of a moment ago are wrong ones.
	reply.headers({ 'content-type': METRICS_CONTENT_TYPE, 'cache-control': 'no-store' });
	return page;
}
