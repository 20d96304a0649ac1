import { PlimsollError } from '../spec/errors.ts';
import type { Scope } from '../spec/records.ts';
import type { Keyring } from './keyring.ts';
import { type LimitedCaller, type LimitParts, RequestLimits } from './limits.ts';
import type { RequestContext } from './request-context.ts';

/** Told to a client that met a full house: long enough to drain a few requests, short enough to be worth it. */
const FULL_RETRY_AFTER_MS = 1000;

/** Who is inside: counts running requests and turns the next one away when the house is full or closing. */
export class Door {
	#inside = 0;
	#closed = false;
	#whenEmpty: (() => void) | null = null;

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
		if (this.#inside === 0) this.#whenEmpty?.();
	}

	/** Lets nobody in any more; resolves when the last one has left. */
	close(): Promise<void> {
		this.#closed = true;
		return new Promise((resolve) => {
			if (this.#inside === 0) resolve();
			else this.#whenEmpty = resolve;
		});
	}
}

/** How a caller shows who it is: by a key that came with the request, or as code in our own process. */
export type Credentials =
	| { readonly kind: 'authorization'; readonly header: string | undefined; readonly scope: Scope }
	| { readonly kind: 'in_process'; readonly tenantId: string };

interface AdmitParts {
	readonly door: Door;
	readonly keyring: Keyring;
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
		const caller = identify(credentials, parts.keyring);
		context.trace.tenant_id = caller.tenantId;
		context.trace.key_id = caller.key?.id ?? null;
		if (credentials.kind === 'authorization') notes.detail.scope = credentials.scope;
		else notes.detail.caller = 'in process';
		const limits = new RequestLimits(parts.limits, caller);
		context.limits = limits;
		context.onLeave(() => void limits.leave().catch(parts.onFault));
		await limits.enter(notes);
	});
}

function identify(credentials: Credentials, keyring: Keyring): LimitedCaller {
	if (credentials.kind === 'in_process') return { tenantId: credentials.tenantId, key: null };
	const key = keyring.identify(credentials.header, credentials.scope);
	return { tenantId: key.tenantId, key };
}
