import type { z } from 'zod';
import { systemClock } from '../base/clock.ts';
import { Deadline } from '../base/deadline.ts';
import { createHttpClient, type HttpClient } from '../base/http.ts';
import { readLines } from '../base/lines.ts';
import type { SettingsTarget } from '../gateway/settings-operator.ts';
import { SseError, SseParser } from '../models/openai-compatible/sse-parser.ts';
import { ERRORS, type ErrorCode, PlimsollError } from '../spec/errors.ts';
import type { CollectionStatus, IngestReport } from '../spec/retrieval.ts';
import type { SettingsKind } from '../spec/tenants.ts';
import type { RequestTrace } from '../spec/trace.ts';
import { requestTrace } from '../telemetry/trace-schema.ts';
import {
	type AdmissionReply,
	type AlertReply,
	type AskReply,
	type AuditReply,
	admissionReply,
	alertReply,
	alertsReply,
	auditReply,
	chatEvent,
	collectionsReply,
	type ExplanationReply,
	errorReply,
	explanationReply,
	type FlagReply,
	flagsReply,
	ingestLine,
	type KeyReply,
	keysReply,
	type LimitReply,
	limitsReply,
	type NewKeyReply,
	newKeyReply,
	type QuarantineListReply,
	type QuarantineReply,
	quarantineListReply,
	quarantineMarkReply,
	quarantineReply,
	removedReply,
	revokedReply,
	SETTINGS_REPLY,
	type SearchReply,
	type SettingsReply,
	searchReply,
	settingsListReply,
	type TracesReply,
	tracesReply,
	type UpstreamReply,
	upstreamReply,
	upstreamsReply,
	userHashReply,
} from './gateway-reply.ts';
import { httpIndex } from './index-session.ts';
import type {
	Session,
	SessionAsk,
	SessionFlag,
	SessionIngest,
	SessionKey,
	SessionRotation,
	SessionSearch,
} from './session.ts';
import { StreamedAnswer } from './streamed-answer.ts';

const CONNECTIONS = { connectionsMax: 16, connectMs: 5_000 };
const CALL_MS = 30_000;
/** Contracts allow deadlines of up to ten minutes; the server ends a request by then. */
const ANSWER_MS = 630_000;
/** An ingestion may take hours, but not in silence. */
const INGEST_SILENCE_MS = 600_000;
const REPLY_BYTES_MAX = 64 * 1024 * 1024;

type Reply = Awaited<ReturnType<HttpClient['request']>>;

interface Call {
	readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE';
	readonly path: string;
	readonly body?: unknown;
	/** Null: whatever version there is. */
	readonly ifVersion?: number | null;
	readonly signal?: AbortSignal | undefined;
	readonly waitMs?: number;
}

/** A session over HTTP. Every call has a time-out, and what comes back is checked. */
export class HttpSession implements Session {
	readonly url: string;
	readonly index = httpIndex((call, schema) => this.#json(call, schema));
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

	get isTellingOthers(): boolean {
		return this.#isTellingOthers;
	}

	async ask(feature: string, { question, onRequestId, onText, signal }: SessionAsk): Promise<AskReply> {
		const body = {
			model: feature,
			messages: [{ role: 'user', content: question }],
			stream: true,
			stream_options: { include_usage: true },
		};
		const call: Call = { method: 'POST', path: '/v1/chat/completions', body, signal, waitMs: ANSWER_MS };
		return this.#exchange(call, async (reply) => {
			const requestId = headerOf(reply, 'x-request-id');
			if (requestId !== '') onRequestId?.(requestId);
			if (!headerOf(reply, 'content-type').startsWith('text/event-stream')) throw await this.#failure(reply);
			return this.#readStream(reply, requestId, onText);
		});
	}

	search(collection: string, { query, k, mode, filter, signal }: SessionSearch): Promise<SearchReply> {
		const path = `/v1/collections/${encodeURIComponent(collection)}/search`;
		return this.#json({ method: 'POST', path, body: { query, k, mode, filter }, signal }, searchReply);
	}

	async collections(): Promise<readonly CollectionStatus[]> {
		return (await this.#json({ method: 'GET', path: '/admin/collections' }, collectionsReply)).collections;
	}

	ingest(collection: string, { onProgress, signal, accept, fresh }: SessionIngest): Promise<IngestReport> {
		const path = `/admin/collections/${encodeURIComponent(collection)}/${fresh ? 'rebuild' : 'ingest'}${accept ? '?accept=true' : ''}`;
		return this.#exchange({ method: 'POST', path, signal, waitMs: INGEST_SILENCE_MS }, async (reply, deadline) => {
			for await (const { bytes } of readLines(reply.body, REPLY_BYTES_MAX)) {
				deadline.set(INGEST_SILENCE_MS);
				const line = this.#check(ingestLine, parseJson(bytes?.toString('utf8') ?? ''));
				if ('report' in line) return line.report;
				onProgress(line.progress);
			}
			throw new PlimsollError('server_unreachable', `${this.url} broke off before the ingestion had ended.`);
		});
	}

	trace(requestId: string): Promise<RequestTrace> {
		return this.#json({ method: 'GET', path: `/admin/traces/${encodeURIComponent(requestId)}` }, requestTrace);
	}

	traces({ feature, limit }: { feature: string | null; limit: number }): Promise<TracesReply> {
		const query = new URLSearchParams({ limit: String(limit), ...(feature === null ? {} : { feature }) });
		return this.#json({ method: 'GET', path: `/admin/traces?${query}` }, tracesReply);
	}

	async listKeys(): Promise<readonly KeyReply[]> {
		return (await this.#json({ method: 'GET', path: '/admin/keys' }, keysReply)).keys;
	}

	createKey(ask: SessionKey): Promise<NewKeyReply> {
		return this.#json({ method: 'POST', path: '/admin/keys', body: ask }, newKeyReply);
	}

	rotateKey(id: string, ask: SessionRotation): Promise<NewKeyReply> {
		const path = `/admin/keys/${encodeURIComponent(id)}/rotate`;
		return this.#json({ method: 'POST', path, body: ask }, newKeyReply);
	}

	async rotateUserHash(): Promise<string> {
		return (await this.#json({ method: 'POST', path: '/admin/user-hash/rotate' }, userHashReply)).version;
	}

	async audit(limit: number): Promise<readonly AuditReply[]> {
		return (await this.#json({ method: 'GET', path: `/admin/audit?limit=${limit}` }, auditReply)).entries;
	}

	async revokeKey(id: string): Promise<void> {
		await this.#json({ method: 'DELETE', path: `/admin/keys/${encodeURIComponent(id)}` }, revokedReply);
	}

	listSettings(kind: SettingsKind): Promise<readonly SettingsReply[]> {
		return this.#json({ method: 'GET', path: `/admin/${kind}s` }, settingsListReply);
	}

	showSettings(kind: SettingsKind, name: string): Promise<SettingsReply> {
		return this.#json({ method: 'GET', path: settingsPath({ kind, name }) }, SETTINGS_REPLY[kind]);
	}

	setSettings(target: SettingsTarget, settings: unknown): Promise<SettingsReply> {
		const { kind, ifVersion } = target;
		return this.#json({ method: 'PUT', path: settingsPath(target), body: settings, ifVersion }, SETTINGS_REPLY[kind]);
	}

	async removeSettings(target: SettingsTarget): Promise<number> {
		const { ifVersion } = target;
		const reply = await this.#json({ method: 'DELETE', path: settingsPath(target), ifVersion }, removedReply);
		return reply.keys_revoked;
	}

	async limits(): Promise<readonly LimitReply[]> {
		return (await this.#json({ method: 'GET', path: '/admin/limits' }, limitsReply)).limits;
	}

	async upstreams(): Promise<readonly UpstreamReply[]> {
		return (await this.#json({ method: 'GET', path: '/admin/upstreams' }, upstreamsReply)).upstreams;
	}

	orderBreaker(upstream: string, openForMs: number | null): Promise<UpstreamReply> {
		const path = `/admin/upstreams/${encodeURIComponent(upstream)}/breaker`;
		const body = openForMs === null ? { state: 'closed' } : { state: 'open', for_ms: openForMs };
		return this.#json({ method: 'POST', path, body }, upstreamReply);
	}

	async alerts({ open, limit }: { open: boolean; limit: number }): Promise<readonly AlertReply[]> {
		const query = new URLSearchParams({ state: open ? 'open' : 'all', limit: String(limit) });
		return (await this.#json({ method: 'GET', path: `/admin/alerts?${query}` }, alertsReply)).alerts;
	}

	orderAlert(id: string, order: 'acknowledge' | 'close'): Promise<AlertReply> {
		return this.#json({ method: 'POST', path: `/admin/alerts/${encodeURIComponent(id)}/${order}` }, alertReply);
	}

	quarantine(collection: string, query: Parameters<Session['quarantine']>[1]): Promise<QuarantineListReply> {
		const asked = new URLSearchParams();
		for (const [name, value] of Object.entries(query)) if (value !== null) asked.set(name, String(value));
		const path = `${quarantinePath(collection)}?${asked}`;
		return this.#json({ method: 'GET', path }, quarantineListReply);
	}

	quarantineEntry(collection: string, id: string): Promise<QuarantineReply> {
		const path = `${quarantinePath(collection)}/${encodeURIComponent(id)}`;
		return this.#json({ method: 'GET', path }, quarantineReply);
	}

	async markQuarantine(collection: string, ids: readonly string[] | null, order: 'retry' | 'drop'): Promise<number> {
		const path = `${quarantinePath(collection)}/${order}`;
		return (await this.#json({ method: 'POST', path, body: { ids } }, quarantineMarkReply)).documents;
	}

	async flags(): Promise<readonly FlagReply[]> {
		return (await this.#json({ method: 'GET', path: '/admin/flags' }, flagsReply)).flags;
	}

	explainFlag(flag: string, ask: SessionFlag): Promise<ExplanationReply> {
		const path = `/admin/flags/${encodeURIComponent(flag)}/explain`;
		return this.#json({ method: 'POST', path, body: ask }, explanationReply);
	}

	admission(): Promise<AdmissionReply> {
		return this.#json({ method: 'GET', path: '/admin/admission' }, admissionReply);
	}

	close(): Promise<void> {
		return this.#http.close();
	}

	#json<T>(call: Call, schema: z.ZodType<T>): Promise<T> {
		return this.#exchange(call, async (reply) => this.#check(schema, parseJson(await textOf(reply))));
	}

	/** Sends a call and reads its reply within its time; both end early when the caller's signal aborts. */
	async #exchange<T>(call: Call, read: (reply: Reply, deadline: Deadline) => Promise<T>): Promise<T> {
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

	async #readStream(reply: Reply, requestId: string, onText: SessionAsk['onText']): Promise<AskReply> {
		const answer = new StreamedAnswer(requestId);
		const events: string[] = [];
		const parser = new SseParser((data) => events.push(data));
		for await (const block of reply.body) {
			parser.push(block);
			for (const data of events.splice(0)) {
				const text = data === '[DONE]' ? answer.end() : answer.add(this.#check(chatEvent, parseJson(data)));
				if (text !== '') await onText?.(text);
			}
		}
		const whole = answer.whole();
		if (whole === null) {
			throw new PlimsollError('upstream_stream_cut', `${this.url} broke off before the answer had ended.`);
		}
		return whole;
	}

	async #failure(reply: Reply): Promise<PlimsollError> {
		this.#check(errorReply, parseJson(await textOf(reply)));
		return this.#notPlimsoll('an answer that is not a stream');
	}

	/** Throws the error that the server reports, or one that says that this is no Plimsoll. */
	#check<T>(schema: z.ZodType<T>, value: unknown): T {
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

function settingsPath({ kind, name }: Pick<SettingsTarget, 'kind' | 'name'>): string {
	return `/admin/${kind}s/${encodeURIComponent(name)}`;
}

/** Null for a code that no Plimsoll of this version has: OpenAI's own endpoint answers in the same shape. */
function errorOf({ error }: z.output<typeof errorReply>): PlimsollError | null {
	if (!isErrorCode(error.code)) return null;
	return new PlimsollError(error.code, error.message, error.param ? { param: error.param } : {});
}

function isErrorCode(code: unknown): code is ErrorCode {
	return typeof code === 'string' && Object.hasOwn(ERRORS, code);
}

function headerOf({ headers }: Reply, name: string): string {
	const value = headers[name];
	return (Array.isArray(value) ? value[0] : value) ?? '';
}

async function textOf({ body }: Reply): Promise<string> {
	const blocks: Buffer[] = [];
	let bytes = 0;
	for await (const block of body) {
		bytes += block.length;
		if (bytes > REPLY_BYTES_MAX) throw new PlimsollError('server_unreachable', 'The reply is larger than 64 MiB.');
		blocks.push(block);
	}
	return Buffer.concat(blocks).toString('utf8');
}

/** Null for what is not JSON: no reply of ours is null. */
function parseJson(text: string): unknown {
	try {
		return JSON.parse(text);
	} catch {
		return null;
	}
}

function quarantinePath(collection: string): string {
	return `/admin/collections/${encodeURIComponent(collection)}/quarantine`;
}
