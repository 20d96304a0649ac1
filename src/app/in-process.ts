import { keptAlive } from '../base/clock.ts';
import type { RequestContext } from '../runtime/request-context.ts';
import type { Runtime } from '../runtime/runtime.ts';

interface Ask {
	readonly tenantId: string;
	readonly signal: AbortSignal | undefined;
}

/**
 * Runs a request that code of this process makes; it ends early when the caller's signal aborts. The process stays until
 * it has ended, also while it waits for nothing but time, such as before an upstream is asked again.
 */
export function inProcess<T>(runtime: Runtime, ask: Ask, run: (context: RequestContext) => Promise<T>): Promise<T> {
	return keptAlive(request(runtime, ask, run));
}

async function request<T>(
	runtime: Runtime,
	{ tenantId, signal }: Ask,
	run: (context: RequestContext) => Promise<T>,
): Promise<T> {
	const context = runtime.open();
	await runtime.admit(context, { kind: 'in_process', tenantId });
	const leave = () => context.clientLeft();
	if (signal?.aborted) leave();
	signal?.addEventListener('abort', leave, { once: true });
	try {
		return await run(context);
	} finally {
		// The signal may outlive any number of requests.
		signal?.removeEventListener('abort', leave);
	}
}
