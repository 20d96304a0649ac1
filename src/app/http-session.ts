import { readLines } from '../base/lines.ts';
import { parseJson } from '../base/parse-json.ts';
import type { FeedbackRemoval } from '../gateway/feedback-operator.ts';
import type { SettingsTarget } from '../gateway/settings-operator.ts';
import { SseParser } from '../models/openai-compatible/sse-parser.ts';
import type { Description } from '../spec/description.ts';
import { PlimsollError } from '../spec/errors.ts';
import type { FeedbackQuery } from '../spec/feedback.ts';
import type { CollectionStatus, IngestReport } from '../spec/retrieval.ts';
import type { SettingsKind } from '../spec/tenants.ts';
import {
	type CanaryHealthReply,
	type CanaryRunReply,
	canariesReply,
	canaryRunReply,
	canaryRunsReply,
	type SuggestionsReply,
	suggestionsReply,
} from './canary-reply.ts';
import { descriptionReply } from './description-reply.ts';
import { httpDocuments } from './documents-session.ts';
import { type EmbedderReply, embedderReply, embeddersReply } from './embedder-reply.ts';
import { feedbackListReply, feedbackRemovedReply, type TracedReply, tracedReply } from './feedback-reply.ts';
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
import { type Call, HttpCalls, headerOf, REPLY_BYTES_MAX, type Reply } from './http-calls.ts';
import { httpIndex } from './index-session.ts';
import type {
	Session,
	SessionAsk,
	SessionFlag,
	SessionIngest,
	SessionKey,
	SessionRotation,
	SessionSearch,
	SessionSuggestion,
} from './session.ts';
import { StreamedAnswer } from './streamed-answer.ts';

/** Contracts allow deadlines of up to ten minutes; the server ends a request by then. */
const ANSWER_MS = 630_000;
/** An ingestion may take hours, but not in silence. */
const INGEST_SILENCE_MS = 600_000;
/** A run of canaries ends by itself in five minutes, after those that wait before it. */
const CANARY_MS = 630_000;

/** A session over HTTP. Every call has a time-out, and what comes back is checked. */
export class HttpSession implements Session {
	readonly #calls: HttpCalls;
	readonly index = httpIndex((call, schema) => this.#calls.json(call, schema));
	readonly documents = httpDocuments((call, schema) => this.#calls.json(call, schema));

	/** Throws `request_invalid` when the address is none. */
	constructor(url: string, key: string | null) {
		this.#calls = new HttpCalls(url, key);
	}

	get url(): string {
		return this.#calls.url;
	}

	get isTellingOthers(): boolean {
		return this.#calls.isTellingOthers;
	}

	async ask(feature: string, { question, onRequestId, onText, signal }: SessionAsk): Promise<AskReply> {
		const body = {
			model: feature,
			messages: [{ role: 'user', content: question }],
			stream: true,
			stream_options: { include_usage: true },
		};
		const call: Call = { method: 'POST', path: '/v1/chat/completions', body, signal, waitMs: ANSWER_MS };
		return this.#calls.exchange(call, async (reply) => {
			const requestId = headerOf(reply, 'x-request-id');
			if (requestId !== '') onRequestId?.(requestId);
			if (!headerOf(reply, 'content-type').startsWith('text/event-stream')) throw await this.#calls.failure(reply);
			return this.#readStream(reply, requestId, onText);
		});
	}

	search(collection: string, { query, k, mode, filter, signal }: SessionSearch): Promise<SearchReply> {
		const path = `/v1/collections/${encodeURIComponent(collection)}/search`;
		return this.#calls.json({ method: 'POST', path, body: { query, k, mode, filter }, signal }, searchReply);
	}

	async collections(): Promise<readonly CollectionStatus[]> {
		return (await this.#calls.json({ method: 'GET', path: '/admin/collections' }, collectionsReply)).collections;
	}

	ingest(collection: string, { onProgress, signal, accept, fresh }: SessionIngest): Promise<IngestReport> {
		const path = `/admin/collections/${encodeURIComponent(collection)}/${fresh ? 'rebuild' : 'ingest'}${accept ? '?accept=true' : ''}`;
		return this.#calls.exchange(
			{ method: 'POST', path, signal, waitMs: INGEST_SILENCE_MS },
			async (reply, deadline) => {
				for await (const { bytes } of readLines(reply.body, REPLY_BYTES_MAX)) {
					deadline.set(INGEST_SILENCE_MS);
					const line = this.#calls.check(ingestLine, parseJson(bytes?.toString('utf8') ?? ''));
					if ('report' in line) return line.report;
					onProgress(line.progress);
				}
				throw new PlimsollError('server_unreachable', `${this.url} broke off before the ingestion had ended.`);
			},
		);
	}

	trace(requestId: string): Promise<TracedReply> {
		return this.#calls.json({ method: 'GET', path: `/admin/traces/${encodeURIComponent(requestId)}` }, tracedReply);
	}

	async feedback({ tenantId: tenant, requestId: request_id, feature, rating, limit }: FeedbackQuery) {
		const path = `/admin/feedback?${queryOf({ tenant, request_id, feature, rating, limit })}`;
		return (await this.#calls.json({ method: 'GET', path }, feedbackListReply)).feedback;
	}

	async removeFeedback({ tenantId: tenant, requestId: request_id, user }: FeedbackRemoval): Promise<number> {
		const path = `/admin/feedback?${queryOf({ tenant, request_id, user })}`;
		return (await this.#calls.json({ method: 'DELETE', path }, feedbackRemovedReply)).removed;
	}

	traces({ feature, limit }: { feature: string | null; limit: number }): Promise<TracesReply> {
		const query = new URLSearchParams({ limit: String(limit), ...(feature === null ? {} : { feature }) });
		return this.#calls.json({ method: 'GET', path: `/admin/traces?${query}` }, tracesReply);
	}

	async listKeys(): Promise<readonly KeyReply[]> {
		return (await this.#calls.json({ method: 'GET', path: '/admin/keys' }, keysReply)).keys;
	}

	createKey(ask: SessionKey): Promise<NewKeyReply> {
		return this.#calls.json({ method: 'POST', path: '/admin/keys', body: ask }, newKeyReply);
	}

	rotateKey(id: string, ask: SessionRotation): Promise<NewKeyReply> {
		const path = `/admin/keys/${encodeURIComponent(id)}/rotate`;
		return this.#calls.json({ method: 'POST', path, body: ask }, newKeyReply);
	}

	async rotateUserHash(): Promise<string> {
		return (await this.#calls.json({ method: 'POST', path: '/admin/user-hash/rotate' }, userHashReply)).version;
	}

	async audit(limit: number): Promise<readonly AuditReply[]> {
		return (await this.#calls.json({ method: 'GET', path: `/admin/audit?limit=${limit}` }, auditReply)).entries;
	}

	async revokeKey(id: string): Promise<void> {
		await this.#calls.json({ method: 'DELETE', path: `/admin/keys/${encodeURIComponent(id)}` }, revokedReply);
	}

	listSettings(kind: SettingsKind): Promise<readonly SettingsReply[]> {
		return this.#calls.json({ method: 'GET', path: `/admin/${kind}s` }, settingsListReply);
	}

	showSettings(kind: SettingsKind, name: string): Promise<SettingsReply> {
		return this.#calls.json({ method: 'GET', path: settingsPath({ kind, name }) }, SETTINGS_REPLY[kind]);
	}

	setSettings(target: SettingsTarget, settings: unknown): Promise<SettingsReply> {
		const { kind, ifVersion } = target;
		return this.#calls.json(
			{ method: 'PUT', path: settingsPath(target), body: settings, ifVersion },
			SETTINGS_REPLY[kind],
		);
	}

	async removeSettings(target: SettingsTarget): Promise<number> {
		const { ifVersion } = target;
		const reply = await this.#calls.json({ method: 'DELETE', path: settingsPath(target), ifVersion }, removedReply);
		return reply.keys_revoked;
	}

	async limits(): Promise<readonly LimitReply[]> {
		return (await this.#calls.json({ method: 'GET', path: '/admin/limits' }, limitsReply)).limits;
	}

	async embedders(): Promise<readonly EmbedderReply[]> {
		return (await this.#calls.json({ method: 'GET', path: '/admin/embedders' }, embeddersReply)).embedders;
	}

	checkEmbedder(embedder: string): Promise<EmbedderReply> {
		const path = `/admin/embedders/${encodeURIComponent(embedder)}/check`;
		return this.#calls.json({ method: 'POST', path }, embedderReply);
	}

	async upstreams(): Promise<readonly UpstreamReply[]> {
		return (await this.#calls.json({ method: 'GET', path: '/admin/upstreams' }, upstreamsReply)).upstreams;
	}

	orderBreaker(upstream: string, openForMs: number | null): Promise<UpstreamReply> {
		const path = `/admin/upstreams/${encodeURIComponent(upstream)}/breaker`;
		const body = openForMs === null ? { state: 'closed' } : { state: 'open', for_ms: openForMs };
		return this.#calls.json({ method: 'POST', path, body }, upstreamReply);
	}

	async alerts({ open, limit }: { open: boolean; limit: number }): Promise<readonly AlertReply[]> {
		const query = new URLSearchParams({ state: open ? 'open' : 'all', limit: String(limit) });
		return (await this.#calls.json({ method: 'GET', path: `/admin/alerts?${query}` }, alertsReply)).alerts;
	}

	orderAlert(id: string, order: 'acknowledge' | 'close'): Promise<AlertReply> {
		return this.#calls.json({ method: 'POST', path: `/admin/alerts/${encodeURIComponent(id)}/${order}` }, alertReply);
	}

	quarantine(collection: string, query: Parameters<Session['quarantine']>[1]): Promise<QuarantineListReply> {
		const path = `${quarantinePath(collection)}?${queryOf(query)}`;
		return this.#calls.json({ method: 'GET', path }, quarantineListReply);
	}

	quarantineEntry(collection: string, id: string): Promise<QuarantineReply> {
		const path = `${quarantinePath(collection)}/${encodeURIComponent(id)}`;
		return this.#calls.json({ method: 'GET', path }, quarantineReply);
	}

	async markQuarantine(collection: string, ids: readonly string[] | null, order: 'retry' | 'drop'): Promise<number> {
		const path = `${quarantinePath(collection)}/${order}`;
		return (await this.#calls.json({ method: 'POST', path, body: { ids } }, quarantineMarkReply)).documents;
	}

	runCanaries(collection: string, signal: AbortSignal): Promise<CanaryRunReply> {
		const path = `/admin/collections/${encodeURIComponent(collection)}/canaries/run`;
		return this.#calls.json({ method: 'POST', path, signal, waitMs: CANARY_MS }, canaryRunReply);
	}

	acceptCanaries(collection: string): Promise<CanaryRunReply> {
		const path = `/admin/collections/${encodeURIComponent(collection)}/canaries/accept`;
		return this.#calls.json({ method: 'POST', path, waitMs: CANARY_MS }, canaryRunReply);
	}

	suggestCanaries(collection: string, { signal, ...body }: SessionSuggestion): Promise<SuggestionsReply> {
		const path = `/admin/collections/${encodeURIComponent(collection)}/canaries/suggest`;
		return this.#calls.json({ method: 'POST', path, body, signal, waitMs: CANARY_MS }, suggestionsReply);
	}

	async canaries(): Promise<readonly CanaryHealthReply[]> {
		return (await this.#calls.json({ method: 'GET', path: '/admin/canaries' }, canariesReply)).collections;
	}

	async canaryRuns(ask: { collection: string | null; limit: number }): Promise<readonly CanaryRunReply[]> {
		const { collection, limit } = ask;
		const query = new URLSearchParams({ limit: String(limit), ...(collection === null ? {} : { collection }) });
		return (await this.#calls.json({ method: 'GET', path: `/admin/canaries/runs?${query}` }, canaryRunsReply)).runs;
	}

	async flags(): Promise<readonly FlagReply[]> {
		return (await this.#calls.json({ method: 'GET', path: '/admin/flags' }, flagsReply)).flags;
	}

	explainFlag(flag: string, ask: SessionFlag): Promise<ExplanationReply> {
		const path = `/admin/flags/${encodeURIComponent(flag)}/explain`;
		return this.#calls.json({ method: 'POST', path, body: ask }, explanationReply);
	}

	describe(): Promise<Description> {
		return this.#calls.json({ method: 'GET', path: '/admin/description' }, descriptionReply);
	}

	admission(): Promise<AdmissionReply> {
		return this.#calls.json({ method: 'GET', path: '/admin/admission' }, admissionReply);
	}

	close(): Promise<void> {
		return this.#calls.close();
	}

	async #readStream(reply: Reply, requestId: string, onText: SessionAsk['onText']): Promise<AskReply> {
		const answer = new StreamedAnswer(requestId);
		const events: string[] = [];
		const parser = new SseParser((data) => events.push(data));
		for await (const block of reply.body) {
			parser.push(block);
			for (const data of events.splice(0)) {
				const text = data === '[DONE]' ? answer.end() : answer.add(this.#calls.check(chatEvent, parseJson(data)));
				if (text !== '') await onText?.(text);
			}
		}
		const whole = answer.whole();
		if (whole === null) {
			throw new PlimsollError('upstream_stream_cut', `${this.url} broke off before the answer had ended.`);
		}
		return whole;
	}
}

function settingsPath({ kind, name }: Pick<SettingsTarget, 'kind' | 'name'>): string {
	return `/admin/${kind}s/${encodeURIComponent(name)}`;
}

/** What is null is left out. */
function queryOf(asked: Readonly<Record<string, string | number | null>>): URLSearchParams {
	const query = new URLSearchParams();
	for (const [name, value] of Object.entries(asked)) if (value !== null) query.set(name, String(value));
	return query;
}

function quarantinePath(collection: string): string {
	return `/admin/collections/${encodeURIComponent(collection)}/quarantine`;
}
