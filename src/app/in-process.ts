import type { RequestContext } from '../runtime/request-context.ts';
import type { Runtime } from '../runtime/runtime.ts';

/** Runs a request that code of this process makes; it ends early when the caller's signal aborts. */
export async function inProcess<T>(
	runtime: Runtime,
	{ tenantId, signal }: { tenantId: string; signal: AbortSignal | undefined },
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
