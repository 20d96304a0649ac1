import { AsyncLocalStorage } from 'node:async_hooks';
import type { Answer } from '../../src/runtime/request.ts';
import type { PlimsollError } from '../../src/spec/errors.ts';
import type { Price } from '../../src/spec/model.ts';
import type { Ticket } from '../../src/spec/shared-state.ts';
import type { RequestTrace } from '../../src/spec/trace.ts';

/** A request as the world outside the process knows it. */
export interface Asked {
	readonly n: number;
	readonly tenant: number;
	readonly replica: string;
	/** The feature or upstream that it names. */
	readonly model: string;
	/** World time, milliseconds. */
	readonly enteredAt: number;
	/** When it must have ended. */
	readonly dueAt: number;
}

/** The request on whose behalf code runs; how a port knows who uses it without any help of the product. */
export const asking = new AsyncLocalStorage<Asked>();

/** One call as the provider sees and bills it. */
export interface Call {
	readonly request: Asked;
	readonly replica: string;
	readonly upstream: string;
	readonly price: Price | null;
	readonly prompt: string;
}

export interface Bill {
	readonly tokensIn: number;
	readonly tokensOut: number;
	/** Whether the caller was told: else it must count by itself. */
	readonly reported: boolean;
}

/** Who has a ticket of the limits. */
export interface Holder {
	readonly replica: string;
	/** Null for places: a queue hands them out while it serves somebody else. */
	readonly request: Asked | null;
}

/** Something that happened at a port. Everything that checkers know, they know from these. */
export type Observation =
	| {
			readonly kind: 'entered';
			readonly request: Asked;
			readonly what: string;
			/** Nothing but a place stands between it and its upstream. */
			readonly waitsForNothingElse: boolean;
	  }
	| {
			readonly kind: 'ended';
			readonly request: Asked;
			readonly answer: Answer | null;
			readonly error: PlimsollError | null;
			readonly streamed: string;
	  }
	| { readonly kind: 'traced'; readonly request: Asked; readonly trace: RequestTrace }
	/** A runtime was granted a ticket, and gave it back with what was used of it. */
	| { readonly kind: 'held'; readonly by: Holder; readonly ticket: Ticket }
	| { readonly kind: 'given_back'; readonly by: Holder; readonly ticket: Ticket; readonly actual: readonly number[] }
	/** A set of counters granted a ticket, and took it back. */
	| { readonly kind: 'granted'; readonly counters: string; readonly replica: string; readonly ticket: Ticket }
	| { readonly kind: 'settled'; readonly counters: string; readonly ticket: Ticket; readonly actual: readonly number[] }
	/** The network lost what would have settled this ticket, or the process that held it is gone. */
	| { readonly kind: 'orphaned'; readonly counters: string; readonly ticket: Ticket }
	| { readonly kind: 'called'; readonly call: Call }
	| { readonly kind: 'billed'; readonly call: Call; readonly bill: Bill | null }
	/** A request executes for its idempotency key; its answer is on record; another request got that answer. */
	| { readonly kind: 'execution'; readonly phase: 'begins' | 'ends'; readonly key: string; readonly request: Asked }
	| { readonly kind: 'recorded'; readonly key: string; readonly body: string | null }
	| { readonly kind: 'repeated'; readonly key: string; readonly request: Asked; readonly body: string }
	| { readonly kind: 'crashed'; readonly replica: string; readonly counters: string | null }
	| { readonly kind: 'reloaded'; readonly replica: string }
	| { readonly kind: 'fault'; readonly what: string; readonly note: string };

/** What a checker reports when its invariant does not hold. */
export interface Violation {
	readonly invariant: number;
	readonly message: string;
	readonly request: number | null;
}

/** Watches one invariant. It sees every observation, and looks again after every event. */
export interface Checker {
	readonly invariant: number;
	/** What the invariant says, in a few words. */
	readonly promise: string;
	see(observation: Observation): void;
	/** After every event, when promises have settled. */
	afterEvent?(): void;
	/** When every client has gone, every fault is healed and nothing happens any more. */
	atRest?(): void | Promise<void>;
}
