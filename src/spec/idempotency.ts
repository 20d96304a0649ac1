/** Whether keys are kept as configured. */
export interface KeyStoreHealth {
	/** `down`: the store does not answer, and `on_failure` is in force. */
	readonly status: 'up' | 'down';
	readonly onFailure: 'refuse' | 'run';
}

/** What an idempotency key stands for. */
export interface KeyedAsk {
	readonly tenantId: string;
	/** Hash over the client's key and who may see its answer, hex. The key itself is never stored. */
	readonly keyHash: string;
	/** Hash of the route and the body, hex: the same key must come with the same one. */
	readonly fingerprint: string;
}

/** An execution that holds a key. The id of its request is the fencing token: who lost the key can write nothing more. */
export interface KeyHolder {
	readonly tenantId: string;
	readonly keyHash: string;
	readonly requestId: string;
}

export interface KeyClaim extends KeyedAsk {
	readonly requestId: string;
	/** Milliseconds since the epoch, as all times here. */
	readonly now: number;
	/** Unless it is renewed before, the claim counts as abandoned from then on. */
	readonly leaseUntil: number;
	/** When the record may be forgotten, whatever became of it. */
	readonly expiresAt: number;
}

/** Something that an execution does to the world. Written down before it is done. */
export interface Effect {
	readonly kind: 'upstream' | 'tool';
	readonly name: string;
	readonly at: number;
}

/** A response as it was sent, and what the traces of its replays say. */
export interface StoredResponse {
	readonly status: number;
	readonly headers: Readonly<Record<string, string>>;
	readonly body: string;
	readonly origin: {
		readonly feature: string | null;
		readonly release: string | null;
		readonly degradedReason: string | null;
		/** Null for a success. */
		readonly errorCode: string | null;
	};
}

export type KeyState =
	| { readonly kind: 'claimed' }
	| { readonly kind: 'running'; readonly requestId: string }
	| { readonly kind: 'stored'; readonly requestId: string; readonly response: StoredResponse }
	/** It was executed, and its response is not kept: it was too large, or had to make room. */
	| { readonly kind: 'not_stored'; readonly requestId: string }
	/** The key came with another body or route before. */
	| { readonly kind: 'reused' }
	/** It was abandoned after it had begun to act: nobody knows how that ended. */
	| { readonly kind: 'unknown'; readonly requestId: string; readonly effects: readonly Effect[] }
	/** The tenant has as many records as it may. */
	| { readonly kind: 'full' };

/** Bounds on what is kept of each tenant, so that none pushes out what another relies on. */
export interface IdempotencyBounds {
	readonly recordsMax: number;
	/** Of all stored bodies; the oldest make room, and their keys stay refused. */
	readonly bytesMax: number;
}

/**
 * Records of idempotency keys, with the ledger of effects. Each operation is atomic, and durable when its promise
 * resolves. Throws PlimsollError `idempotency_unavailable`.
 */
export interface IdempotencyStore {
	/** Whether it answers, as far as is known. */
	isUp(): boolean;
	/** Takes the key for an execution, or says who has it and what became of it. */
	claim(claim: KeyClaim): Promise<KeyState>;
	/** False when the key is no longer this holder's; so for the next methods. */
	renew(holder: KeyHolder, leaseUntil: number): Promise<boolean>;
	beginEffect(holder: KeyHolder, effect: Effect): Promise<boolean>;
	/** Takes an effect back that is known not to have happened. */
	voidEffect(holder: KeyHolder, effect: Effect): Promise<boolean>;
	/** The execution ended, and this is what every repetition gets; null: it is not kept. */
	complete(
		holder: KeyHolder,
		end: { readonly response: StoredResponse | null; readonly now: number; readonly expiresAt: number },
	): Promise<boolean>;
	/** The execution ended without a lasting answer: the key is free again, unless it had begun to act. */
	release(holder: KeyHolder): Promise<boolean>;
	/** Forgets at most `max` records that have expired; resolves with how many. */
	sweep(now: number, max: number): Promise<number>;
	close(): Promise<void>;
}
