import type { Caller } from '../spec/identity.ts';
import type { PurgeOrder, PurgeReceipt, PushAdmin } from '../spec/push.ts';

/** What an operator can do with documents that are sent. */
export interface DocumentOperator extends Omit<PushAdmin, 'purge'> {
	/** Who and why are kept, not what it was. */
	purge(order: Omit<PurgeOrder, 'onPurged'> & { readonly why: string }, by: Caller): Promise<PurgeReceipt>;
}
