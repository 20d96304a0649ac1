import type { Answer } from './answer.ts';
import type { Asked, Json } from './asked.ts';
import type { Plan, RefusalKind } from './plan.ts';

/** A stream as a list of writes. */
export interface Frames {
	readonly list: readonly (string | Buffer)[];
	/** What says that the stream is over; null where the format has nothing of the kind. */
	readonly end: string | Buffer | null;
	readonly type: string;
}

/** What a vendor answers instead of an answer. */
export interface RefusalReply {
	readonly status: number;
	readonly body: Json;
	readonly headers?: Readonly<Record<string, string>>;
}

/** Why a vendor refuses. */
export interface Refusal {
	readonly kind: RefusalKind;
	/** Left out: the vendor's usual words. */
	readonly message?: string;
	readonly plan: Plan;
	readonly model: string;
	/** Of a request for a stream. */
	readonly stream: boolean;
	/** For `Retry-After` as a date. */
	readonly nowMs: number;
}

/** What is left of a key's limits. */
export interface LimitLeft {
	readonly limit: 'requests' | 'tokens';
	readonly max: number;
	readonly left: number;
	/** Until all of it is there again. */
	readonly resetMs: number;
}

/** One vendor's wire format of answers, in both directions. */
export interface WireFormat {
	/** What a request asks for; `path` without its query, since one vendor puts the model there. Throws AskError. */
	read(body: Json, path: string): Asked;
	/** A whole answer. */
	plain(answer: Answer): Json;
	/** The same as a stream. */
	stream(answer: Answer): Frames;
	refuse(refusal: Refusal): RefusalReply;
	/** An error in the middle of a stream. */
	streamError(refusal: Refusal): string | Buffer;
	limitHeaders(limits: readonly LimitLeft[], nowMs: number): Record<string, string>;
}

/** Server-sent events, named where the format names them. */
export function sse(data: unknown, name?: string): string {
	return `${name === undefined ? '' : `event: ${name}\n`}data: ${JSON.stringify(data)}\n\n`;
}

/** `Retry-After` in the form that a plan asks for. */
export function retryHeaders({ retryAfter }: Plan, nowMs: number): Record<string, string> {
	if (retryAfter === undefined) return {};
	switch (retryAfter.form) {
		case 'seconds':
			return { 'retry-after': String(Math.ceil(retryAfter.ms / 1_000)) };
		case 'date':
			return { 'retry-after': new Date(nowMs + retryAfter.ms).toUTCString() };
		case 'milliseconds':
			return { 'retry-after-ms': String(Math.ceil(retryAfter.ms)) };
		case 'none':
			return {};
	}
}
