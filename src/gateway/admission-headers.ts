import type { RequestContext } from '../runtime/request-context.ts';
import { PlimsollError } from '../spec/errors.ts';

const PRIORITY_HEADER = 'x-plimsoll-priority';

/** A client may make its request wait behind others, never before them. Throws `request_invalid`. */
export function readPriority(context: RequestContext, headers: Readonly<Record<string, unknown>>): void {
	const asked = headers[PRIORITY_HEADER];
	if (asked === undefined || asked === 'interactive') return;
	if (asked !== 'batch') {
		const param = PRIORITY_HEADER;
		throw new PlimsollError('request_invalid', `${param}: expected interactive or batch.`, { param });
	}
	context.lowerPriority();
}

/** How long the request waited for its place; nothing when it did not. */
export function queueHeaders({ queuedMs }: RequestContext): Record<string, string> {
	return queuedMs > 0 ? { 'x-plimsoll-queued-ms': String(Math.ceil(queuedMs)) } : {};
}
