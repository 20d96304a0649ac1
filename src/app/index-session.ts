import type { z } from 'zod';
import type { IndexOperator } from '../gateway/index-operator.ts';
import * as rows from '../gateway/index-routes.ts';
import type { Caller } from '../spec/identity.ts';
import { SCOPES } from '../spec/records.ts';
import * as replies from './index-reply.ts';

interface Order {
	readonly collection: string;
	readonly generation: string;
	readonly why: string;
}

/** What a command can do with index generations. Throws PlimsollError. */
export interface IndexSession {
	list(collection: string): Promise<replies.GenerationsReply>;
	show(collection: string, generation: string): Promise<replies.GenerationReply>;
	diff(collection: string, left: string, right: string): Promise<replies.DiffReply>;
	verify(collection: string, generation: string, signal: AbortSignal): Promise<replies.VerificationReply>;
	promote(order: Order, signal: AbortSignal): Promise<replies.MoveReply>;
	rollBack(
		order: Omit<Order, 'generation'> & { readonly generation: string | null },
		signal: AbortSignal,
	): Promise<replies.MoveReply>;
	collect(collection: string, signal: AbortSignal): Promise<replies.CollectedReply>;
	estimate(collection: string): Promise<replies.EstimateReply>;
}

/** Whoever runs a command on a project's own folder may do anything with it. */
export const OWNER: Caller = {
	kind: 'in_process',
	tenantId: 'default',
	keyId: null,
	keyName: null,
	scopes: SCOPES,
	features: null,
	user: null,
	groups: [],
};

/** In this process. */
export function localIndex(open: () => Promise<IndexOperator>): IndexSession {
	return {
		list: async (collection) => rows.listReply(await (await open()).list(collection)),
		show: async (collection, generation) => rows.generationReply(await (await open()).show(collection, generation)),
		diff: async (collection, left, right) => rows.diffReply(await (await open()).diff(collection, left, right)),
		verify: async (collection, generation, signal) =>
			rows.verificationReply(await (await open()).verify(collection, generation, signal)),
		promote: async (order, signal) => rows.moveReply(await (await open()).promote({ ...order, signal }, OWNER)),
		rollBack: async (order, signal) => rows.moveReply(await (await open()).rollBack({ ...order, signal }, OWNER)),
		collect: async (collection, signal) => (await open()).collect(collection, signal),
		estimate: async (collection) => rows.estimateReply(await (await open()).estimate(collection)),
	};
}

/** One call to a server. */
export type ServerCall = <T>(
	call: {
		readonly method: 'GET' | 'POST';
		readonly path: string;
		readonly body?: unknown;
		readonly signal?: AbortSignal;
		readonly waitMs?: number;
	},
	schema: z.ZodType<T>,
) => Promise<T>;

/** Reading every row of a large index takes a while. */
const WAIT_MS = 660_000;

/** By way of a server. */
export function httpIndex(send: ServerCall): IndexSession {
	const of = (collection: string) => `/admin/collections/${encodeURIComponent(collection)}`;
	const one = (collection: string, generation: string) =>
		`${of(collection)}/generations/${encodeURIComponent(generation)}`;
	const post = <T>(path: string, schema: z.ZodType<T>, signal: AbortSignal, body?: unknown) =>
		send({ method: 'POST', path, signal, waitMs: WAIT_MS, ...(body === undefined ? {} : { body }) }, schema);
	return {
		list: (collection) => send({ method: 'GET', path: `${of(collection)}/generations` }, replies.generationsReply),
		show: (collection, generation) =>
			send({ method: 'GET', path: one(collection, generation) }, replies.generationReply),
		diff: (collection, left, right) => {
			const path = `${one(collection, left)}/diff?to=${encodeURIComponent(right)}`;
			return send({ method: 'GET', path, waitMs: WAIT_MS }, replies.diffReply);
		},
		verify: (collection, generation, signal) =>
			post(`${one(collection, generation)}/verify`, replies.verificationReply, signal),
		promote: ({ collection, generation, why }, signal) =>
			post(`${one(collection, generation)}/promote`, replies.moveReply, signal, { why }),
		rollBack: ({ collection, ...body }, signal) =>
			post(`${of(collection)}/generations/rollback`, replies.moveReply, signal, body),
		collect: (collection, signal) => post(`${of(collection)}/generations/gc`, replies.collectedReply, signal),
		estimate: (collection) => send({ method: 'GET', path: `${of(collection)}/rebuild` }, replies.estimateReply),
	};
}
