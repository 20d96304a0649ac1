import { z } from 'zod';
import { checkBody } from './json-body.ts';
import type { BreakerOrder, UpstreamView } from './operator.ts';
import { callerOf, type Exchange, pathParameter, type Route } from './route.ts';

const DAY_MS = 86_400_000;

/** `POST /admin/upstreams/{upstream}/breaker`. */
const BreakerBody = z.discriminatedUnion('state', [
	z.strictObject({
		state: z.literal('open'),
		// Nothing stays out for ever because somebody forgot it.
		for_ms: z
			.int()
			.min(1)
			.max(7 * DAY_MS)
			.default(DAY_MS),
	}),
	z.strictObject({ state: z.literal('closed') }),
]);

/** How upstreams stand, and their breakers by hand. */
export const UPSTREAM_ROUTES: readonly Route[] = [
	{
		method: 'GET',
		path: '/admin/upstreams',
		scope: 'admin',
		traced: false,
		summary: 'Every upstream with its breaker: state, calls of the window, latest errors, retries that are left.',
		body: null,
		handle: ({ parts }) => ({ upstreams: parts.operator.upstreams().map(upstreamRow) }),
	},
	{
		method: 'POST',
		path: '/admin/upstreams/{upstream}/breaker',
		scope: 'admin',
		traced: false,
		summary:
			'Takes an upstream out for a time (by default a day), or lets it in again; its name’s slash is sent as %2F.',
		body: BreakerBody,
		handle: orderBreaker,
	},
];

async function orderBreaker(exchange: Exchange): Promise<unknown> {
	const order = breakerOrder(checkBody(BreakerBody, exchange.request.body));
	const name = pathParameter(exchange.request, 'upstream');
	return upstreamRow(await exchange.parts.operator.orderBreaker(name, order, callerOf(exchange)));
}

function breakerOrder(body: z.output<typeof BreakerBody>): BreakerOrder {
	return body.state === 'open' ? { state: 'open', forMs: body.for_ms } : { state: 'closed' };
}

/** An upstream as clients see it. */
function upstreamRow(view: UpstreamView) {
	return {
		upstream: view.upstream,
		state: view.state,
		why: view.why,
		since: view.since === null ? null : new Date(view.since).toISOString(),
		wait_ms: view.waitMs,
		calls: view.window.calls,
		failures: view.window.failures,
		slow: view.window.slow,
		retries_left: view.retriesLeft,
		errors: view.errors.map(({ at, kind, status, message }) => ({
			at: new Date(at).toISOString(),
			kind,
			status,
			message,
		})),
	};
}
