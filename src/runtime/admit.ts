import { requireScope } from '../policy/access.ts';
import { PlimsollError } from '../spec/errors.ts';
import type { Authenticator, Caller } from '../spec/identity.ts';
import { SCOPES, type Scope } from '../spec/records.ts';
import { type LimitParts, RequestLimits } from './limits.ts';
import type { RequestContext } from './request-context.ts';

/** Told to a client that met a full house: long enough to drain a few requests, short enough to be worth it. */
const FULL_RETRY_AFTER_MS = 1000;

/** Who is inside: counts running requests and turns the next one away when the house is full or closing. */
export class Door {
	#inside = 0;
	#closed = false;
	readonly #empty = Promise.withResolvers<void>();

	get closed(): boolean {
		return this.#closed;
	}

	get inside(): number {
		return this.#inside;
	}

	/** Throws `server_draining` or `concurrency_exceeded`. Every enter needs exactly one leave. */
	enter(max: number): void {
		if (this.#closed) {
			throw new PlimsollError('server_draining', 'The server is stopping.', { retryAfterMs: FULL_RETRY_AFTER_MS });
		}
		if (this.#inside >= max) {
			throw new PlimsollError('concurrency_exceeded', `${max} requests are running, the most that the server allows.`, {
				retryAfterMs: FULL_RETRY_AFTER_MS,
			});
		}
		this.#inside++;
	}

	leave(): void {
		this.#inside--;
		if (this.#closed && this.#inside === 0) this.#empty.resolve();
	}

	/** Lets nobody in any more; resolves when the last one has left. Further calls wait for the same. */
	close(): Promise<void> {
		this.#closed = true;
		if (this.#inside === 0) this.#empty.resolve();
		return this.#empty.promise;
	}
}

/** How a caller shows who it is: by a key or token that came with the request, or as code in our own process. */
export type Credentials =
	| { readonly kind: 'authorization'; readonly header: string | undefined; readonly scope: Scope }
	| { readonly kind: 'in_process'; readonly tenantId: string };

interface AdmitParts {
	readonly door: Door;
	readonly authenticator: Authenticator;
	readonly max: number;
	readonly limits: LimitParts;
	/** Told when a place could not be given back to the shared state. */
	readonly onFault: (error: unknown) => void;
}

/** admit: a place inside, who asks, and whether the limits of the tenant and the key let it in. */
export function admit(context: RequestContext, credentials: Credentials, parts: AdmitParts): Promise<void> {
	return context.step('admit', async (notes) => {
		parts.door.enter(parts.max);
		context.onLeave(() => parts.door.leave());
		const known = identify(credentials, parts.authenticator);
		const caller = known instanceof Promise ? await known : known;
		// From here on the trace says whose the request is, also when it is refused.
		context.caller = caller;
		context.trace.tenant_id = caller.tenantId;
		context.trace.key_id = caller.keyId;
		notes.detail.caller = caller.kind === 'in_process' ? 'in process' : caller.kind;
		if (credentials.kind === 'authorization') {
			notes.detail.scope = credentials.scope;
			requireScope(caller, credentials.scope);
		}
		const limits = new RequestLimits(parts.limits, caller);
		context.limits = limits;
		context.onLeave(() => void limits.leave().catch(parts.onFault));
		await limits.enter(notes);
	});
}

function identify(credentials: Credentials, authenticator: Authenticator): Caller | Promise<Caller> {
	if (credentials.kind === 'in_process') return inProcess(credentials.tenantId);
	return authenticator.authenticate(credentials.header);
}

/** Code in our own process may do whatever its process can. */
function inProcess(tenantId: string): Caller {
	return { kind: 'in_process', tenantId, keyId: null, keyName: null, scopes: SCOPES, features: null, user: null };
}
