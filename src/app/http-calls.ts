import type { z } from 'zod';
import { systemClock } from '../base/clock.ts';
import { Deadline } from '../base/deadline.ts';
import { createHttpClient, type HttpClient } from '../base/http.ts';
import { parseJson } from '../base/parse-json.ts';
import { wholeBody } from '../base/whole-body.ts';
import { SseError } from '../models/openai-compatible/sse-parser.ts';
import { ERRORS, type ErrorCode, PlimsollError } from '../spec/errors.ts';
import { errorReply } from './gateway-reply.ts';

const CONNECTIONS = { connectionsMax: 16, connectMs: 5_000 };
const CALL_MS = 30_000;
export const REPLY_BYTES_MAX = 64 * 1024 * 1024;

export type Reply = Awaited<ReturnType<HttpClient['request']>>;

export interface Call {
	readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE';
	readonly path: string;
	readonly body?: unknown;
	/** Null: whatever version there is. */
	readonly ifVersion?: number | null;
	readonly signal?: AbortSignal | undefined;
	readonly waitMs?: number;
}

/** Calls of one server: each has a time-out, and what comes back is checked. */
export class HttpCalls {
	readonly url: string;
	readonly #key: string | null;
	readonly #http = createHttpClient(CONNECTIONS);
	#isTellingOthers = false;

	/** Throws `request_invalid` when the address is none. */
	constructor(url: string, key: string | null) {
		const parsed = URL.parse(url);
		if (parsed === null || !/^https?:$/.test(parsed.protocol) || parsed.username || parsed.password) {
			throw new PlimsollError(
				'request_invalid',
				`"${url}" is not the address of a server; expected one such as http://127.0.0.1:4600, without credentials.`,
			);
		}
		this.url = url.replace(/\/+$/, '');
		this.#key = key;
	}

	/** Whether a reply said that other replicas have not heard of a change yet. */
	get isTellingOthers(): boolean {
		return this.#isTellingOthers;
	}

	close(): Promise<void> {
		return this.#http.close();
	}

	json<T>(call: Call, schema: z.ZodType<T>): Promise<T> {
		return this.exchange(call, async (reply) => this.check(schema, parseJson(await textOf(reply))));
	}

	/** Sends a call and reads its reply within its time; both end early when the caller's signal aborts. */
	async exchange<T>(call: Call, read: (reply: Reply, deadline: Deadline) => Promise<T>): Promise<T> {
		const waitMs = call.waitMs ?? CALL_MS;
		const late = () => new PlimsollError('deadline_exceeded', `${this.url} said nothing for ${waitMs / 1000} s.`);
		const deadline = new Deadline(systemClock, late);
		deadline.set(waitMs);
		const leave = () => deadline.cancel(call.signal?.reason);
		if (call.signal?.aborted) leave();
		call.signal?.addEventListener('abort', leave, { once: true });
		let reply: Reply | null = null;
		try {
			reply = await this.#http.request({
				url: `${this.url}${call.path}`,
				method: call.method,
				headers: {
					...(this.#key === null ? {} : { authorization: `Bearer ${this.#key}` }),
					...(call.body === undefined ? {} : { 'content-type': 'application/json' }),
					...(typeof call.ifVersion === 'number' ? { 'if-match': `"${call.ifVersion}"` } : {}),
				},
				body: call.body === undefined ? null : JSON.stringify(call.body),
				signal: deadline.signal,
			});
			if (headerOf(reply, 'x-plimsoll-replicas') === 'pending') this.#isTellingOthers = true;
			return await read(reply, deadline);
		} catch (thrown) {
			if (deadline.signal.aborted) throw deadline.signal.reason;
			throw thrown instanceof PlimsollError ? thrown : this.#broken(thrown);
		} finally {
			deadline.dispose();
			call.signal?.removeEventListener('abort', leave);
			// Ends what was not read; its error has been told already.
			reply?.body.on('error', () => {}).destroy();
		}
	}

	/** The error that a reply holds which should have been a stream. */
	async failure(reply: Reply): Promise<PlimsollError> {
		this.check(errorReply, parseJson(await textOf(reply)));
		return this.#notPlimsoll('an answer that is not a stream');
	}

	/** Throws the error that the server reports, or one that says that this is no Plimsoll. */
	check<T>(schema: z.ZodType<T>, value: unknown): T {
		const failed = errorReply.safeParse(value);
		if (failed.success) {
			throw (
				errorOf(failed.data) ??
				this.#notPlimsoll(`an error without a code of ours: ${failed.data.error.message.slice(0, 200)}`)
			);
		}
		const checked = schema.safeParse(value);
		if (checked.success) return checked.data;
		const issue = checked.error.issues[0];
		throw this.#notPlimsoll(
			value === null ? 'something that is not JSON' : `${issue?.path.join('.')}: ${issue?.message}`,
		);
	}

	#notPlimsoll(found: string): PlimsollError {
		return new PlimsollError(
			'server_unreachable',
			`${this.url} does not answer as a Plimsoll server of this version does (${found}).`,
		);
	}

	#broken(cause: unknown): PlimsollError {
		if (cause instanceof SseError) return this.#notPlimsoll(cause.message);
		const why =
			cause instanceof Error ? cause.message || ('code' in cause ? String(cause.code) : cause.name) : String(cause);
		return new PlimsollError('server_unreachable', `The server ${this.url} cannot be reached: ${why}`, { cause });
	}
}

/** Null for a code that no Plimsoll of this version has: OpenAI's own endpoint answers in the same shape. */
function errorOf({ error }: z.output<typeof errorReply>): PlimsollError | null {
	if (!isErrorCode(error.code)) return null;
	return new PlimsollError(error.code, error.message, error.param ? { param: error.param } : {});
}

function isErrorCode(code: unknown): code is ErrorCode {
	return typeof code === 'string' && Object.hasOwn(ERRORS, code);
}

export function headerOf({ headers }: Reply, name: string): string {
	const value = headers[name];
	return (Array.isArray(value) ? value[0] : value) ?? '';
}

async function textOf({ body }: Reply): Promise<string> {
	const whole = await wholeBody(body, REPLY_BYTES_MAX);
	if (whole === null) throw new PlimsollError('server_unreachable', 'The reply is larger than 64 MiB.');
	return whole.toString('utf8');
}
