import type { z } from 'zod';
import { keptAlive } from '../base/clock.ts';
import { readDocuments, readPurge } from '../gateway/document-body.ts';
import type { DocumentOperator } from '../gateway/document-operator.ts';
import { purgeRow, receiptRow, storedRow, viewRow } from '../gateway/document-routes.ts';
import * as replies from './document-reply.ts';
import { OWNER, type ServerCall } from './index-session.ts';

interface Place {
	readonly collection: string;
	/** Null: the only one of kind `push`. */
	readonly source: string | null;
}

interface Waiting {
	/** 0: not at all. */
	readonly waitMs: number;
	readonly signal: AbortSignal;
}

/** What a command can do with pushed documents. Throws PlimsollError. */
export interface DocumentsSession {
	/** @param documents as the API takes them; a malformed one is refused for itself. */
	push(
		order: Place & Waiting & { readonly documents: readonly unknown[]; readonly accept: boolean },
	): Promise<replies.ReceiptReply>;
	remove(order: Place & Waiting & { readonly ids: readonly string[] }): Promise<replies.ReceiptReply>;
	/** @param order `ids` null: all of the source. */
	purge(
		order: Place & Waiting & { readonly ids: readonly string[] | null; readonly why: string },
	): Promise<replies.PurgeReply>;
	list(ask: Place & { readonly after: string | null; readonly limit: number }): Promise<replies.DocumentsReply>;
	/** Sources that hold documents. */
	stored(): Promise<replies.StoredReply>;
}

/** In this process. */
export function localDocuments(open: () => Promise<DocumentOperator>): DocumentsSession {
	const everybody = { tenant: null };
	return {
		push: async ({ documents, ...order }) => {
			const read = readDocuments({ documents });
			const pushed = (await open()).push({ ...order, ...everybody, documents: read.documents });
			// A run that waits for further documents keeps no process alive.
			return receiptRow(order.collection, await keptAlive(pushed));
		},
		remove: async (order) =>
			receiptRow(order.collection, await keptAlive((await open()).remove({ ...order, ...everybody }))),
		purge: async (order) => {
			const { ids, why } = readPurge(purgeBody(order));
			return purgeRow(order.collection, await keptAlive((await open()).purge({ ...order, ids, why }, OWNER)));
		},
		list: async (ask) => {
			const { documents, next } = await (await open()).list({ ...ask, ...everybody });
			return { collection: ask.collection, documents: documents.map(viewRow), next };
		},
		stored: async () => ({ sources: (await (await open()).stored()).map(storedRow) }),
	};
}

/** A request may take as long besides what it waits. */
const CALL_MS = 60_000;

/** By way of a server. */
export function httpDocuments(send: ServerCall): DocumentsSession {
	const post = <T>(
		path: string,
		order: Place & Waiting & { readonly accept?: boolean },
		schema: z.ZodType<T>,
		body: unknown,
	) => {
		const { waitMs, signal, accept = false } = order;
		const query = queryOf(order, { wait_ms: String(waitMs), ...(accept ? { accept: 'true' } : {}) });
		const call = { method: 'POST', path: `${pathOf(order)}${path}?${query}`, body } as const;
		return send({ ...call, signal, waitMs: waitMs + CALL_MS }, schema);
	};
	return {
		push: (order) => post('', order, replies.receiptReply, { documents: order.documents }),
		remove: (order) => post('/delete', order, replies.receiptReply, { ids: order.ids }),
		purge: (order) => post('/purge', order, replies.purgeReply, purgeBody(order)),
		list: ({ after, limit, ...place }) => {
			const query = queryOf(place, { limit: String(limit), ...(after === null ? {} : { after }) });
			return send({ method: 'GET', path: `${pathOf(place)}?${query}` }, replies.documentsReply);
		},
		stored: () => send({ method: 'GET', path: '/admin/documents' }, replies.storedReply),
	};
}

function purgeBody({ ids, why }: { readonly ids: readonly string[] | null; readonly why: string }) {
	return ids === null ? { all: true, why } : { ids, why };
}

function pathOf({ collection }: Place): string {
	return `/admin/collections/${encodeURIComponent(collection)}/documents`;
}

function queryOf({ source }: Place, rest: Readonly<Record<string, string>>): URLSearchParams {
	return new URLSearchParams({ ...(source === null ? {} : { source }), ...rest });
}
