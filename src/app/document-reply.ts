import { z } from 'zod';
import { PUSH_OUTCOMES, PUSH_STATES, REFUSALS } from '../spec/push.ts';

/** What a Plimsoll server says about pushed documents, checked before it is used. */

const order = {
	collection: z.string(),
	source: z.string(),
	run: z.string().nullable(),
	done: z.boolean(),
	problem: z.string().nullable(),
};

export const receiptReply = z.object({
	...order,
	refused: z.int(),
	documents: z.array(
		z.object({
			id: z.string(),
			outcome: z.enum(PUSH_OUTCOMES),
			state: z.enum(PUSH_STATES).nullable(),
			kept: z.boolean(),
			code: z.enum(REFUSALS).nullable(),
			reasons: z.array(z.string()).readonly(),
		}),
	),
});
export type ReceiptReply = z.output<typeof receiptReply>;

export const purgeReply = z.object({ ...order, purged: z.int() });
export type PurgeReply = z.output<typeof purgeReply>;

const view = z.object({
	id: z.string(),
	source: z.string(),
	format: z.string(),
	title: z.string().nullable(),
	bytes: z.int(),
	hash: z.string(),
	pushed_at: z.string(),
	state: z.enum(PUSH_STATES),
	reasons: z.array(z.string()).readonly(),
	kept: z.boolean(),
});

export const storedReply = z.object({
	sources: z.array(
		z.object({
			collection: z.string(),
			source: z.string(),
			documents: z.int(),
			bytes: z.int(),
			configured: z.boolean(),
		}),
	),
});
export type StoredReply = z.output<typeof storedReply>;

export const documentsReply = z.object({
	collection: z.string(),
	documents: z.array(view),
	next: z.string().nullable(),
});
export type DocumentsReply = z.output<typeof documentsReply>;
