import { z } from 'zod';
import { alertRow } from '../telemetry/alert-message.ts';
import { checkBody, queryNumber } from './json-body.ts';
import { callerOf, type Exchange, pathParameter, queryParameter, type Route } from './route.ts';

/** What a person should look at. Each replica has its own. */
export const ALERT_ROUTES: readonly Route[] = [
	{
		method: 'GET',
		path: '/admin/alerts',
		scope: 'admin',
		traced: false,
		summary:
			'The alerts of this replica, newest first: those that are open, or with state=all also those that are over.',
		body: null,
		query: { state: 'open (default) or all', limit: 'at most this many, 1 to 1000 (default 100)' },
		handle: listAlerts,
	},
	{
		method: 'POST',
		path: '/admin/alerts/{alert}/acknowledge',
		scope: 'admin',
		traced: false,
		summary: 'Says that somebody looks after an alert. It stays open until its cause is gone.',
		body: null,
		handle: (exchange) => order(exchange, 'acknowledge'),
	},
	{
		method: 'POST',
		path: '/admin/alerts/{alert}/close',
		scope: 'admin',
		traced: false,
		summary: 'Ends an alert by hand; it opens again when its rule finds its cause again.',
		body: null,
		handle: (exchange) => order(exchange, 'close'),
	},
];

const ListQuery = z.object({
	state: z.enum(['open', 'all'], 'expected open or all'),
	limit: queryNumber(1, 1_000),
});

async function listAlerts({ request, parts }: Exchange): Promise<unknown> {
	const { state, limit } = checkBody(ListQuery, {
		state: queryParameter(request, 'state') ?? 'open',
		limit: queryParameter(request, 'limit') ?? '100',
	});
	const alerts = await parts.operator.alerts({ open: state === 'open', limit });
	return { alerts: alerts.map(alertRow) };
}

async function order(exchange: Exchange, what: 'acknowledge' | 'close'): Promise<unknown> {
	const id = pathParameter(exchange.request, 'alert');
	return alertRow(await exchange.parts.operator.orderAlert(id, what, callerOf(exchange)));
}
