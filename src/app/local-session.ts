import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Logger } from 'pino';
import { keptAlive, systemClock } from '../base/clock.ts';
import { createIds } from '../base/ids.ts';
import { systemRandom } from '../base/random.ts';
import { limitRow } from '../gateway/admin-routes.ts';
import { healthRow, runRow, suggestionsRow } from '../gateway/canary-routes.ts';
import { extras, openAiUsage } from '../gateway/chat-response.ts';
import { embedderRow } from '../gateway/embedder-routes.ts';
import type { FeedbackRemoval } from '../gateway/feedback-operator.ts';
import { feedbackRow } from '../gateway/feedback-routes.ts';
import { explanationRow, FlagBody, flagQuestion, flagRow } from '../gateway/flag-routes.ts';
import { checkBody } from '../gateway/json-body.ts';
import { KeyBody, RotateBody } from '../gateway/key-body.ts';
import { auditEntryRow, keyRow, newKey, rotation } from '../gateway/key-routes.ts';
import { entryRow } from '../gateway/quarantine-routes.ts';
import { searchResponse } from '../gateway/search-response.ts';
import type { SettingsTarget } from '../gateway/settings-operator.ts';
import { settingsRow } from '../gateway/settings-routes.ts';
import { Keyring } from '../identity/keyring.ts';
import type { Description } from '../spec/description.ts';
import { configurationError, PlimsollError } from '../spec/errors.ts';
import type { FeedbackQuery } from '../spec/feedback.ts';
import type { RecordStore } from '../spec/records.ts';
import type { CollectionStatus, IngestReport } from '../spec/retrieval.ts';
import type { SettingsKind } from '../spec/tenants.ts';
import { lockDataFolder } from '../stores/data-folder.ts';
import { openSqliteRecords } from '../stores/sqlite.ts';
import { openSqliteHealth } from '../stores/sqlite-health.ts';
import { alertRow } from '../telemetry/alert-message.ts';
import { AlertSink } from '../telemetry/alert-sink.ts';
import { openTraceReader } from '../telemetry/trace-reader.ts';
import { orderAlert } from './alert-operator.ts';
import type { CanaryHealthReply, CanaryRunReply, SuggestionsReply } from './canary-reply.ts';
import { localDocuments } from './documents-session.ts';
import type { EmbedderReply } from './embedder-reply.ts';
import { removeFeedback } from './feedback-operator.ts';
import type { FeedbackReply, TracedReply } from './feedback-reply.ts';
import {
	type AlertReply,
	type AskReply,
	type AuditReply,
	type ExplanationReply,
	type FlagReply,
	type KeyReply,
	type LimitReply,
	type NewKeyReply,
	type QuarantineListReply,
	type QuarantineReply,
	SETTINGS_REPLY,
	type SearchReply,
	type SettingsReply,
	type TracesReply,
	type UpstreamReply,
} from './gateway-reply.ts';
import { inProcess } from './in-process.ts';
import { localIndex, OWNER } from './index-session.ts';
import { KeyAdmin, PROCESS_ACTOR } from './keys.ts';
import { loadProject } from './load-project.ts';
import { rotateUserHash } from './operator.ts';
import { quarantineOperator } from './quarantine.ts';
import { openServices, RECORD_FILE, type Services, TRACE_FILE } from './services.ts';
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
import { USER_HASH_KEY_FILE, UserHash } from './user-hash.ts';

const DAY_MS = 86_400_000;
const TENANT = 'default';

/** A session in this process. Opens only the parts that its calls need: keys and traces work on a broken project too. */
export class LocalSession implements Session {
	readonly url = null;
	readonly index = localIndex(async () => (await this.#open()).operator.index);
	readonly documents = localDocuments(async () => (await this.#open()).operator.documents);
	readonly #dir: string;
	readonly #dataDir: string;
	readonly #log: Logger;
	readonly #opened = new AsyncDisposableStack();
	#services: Promise<Services> | null = null;
	#tellsOthers = () => false;
	#records: Promise<RecordStore> | null = null;
	#traces: ReturnType<typeof openTraceReader> | null = null;

	constructor({ dir, dataDir, log }: { dir: string; dataDir: string; log: Logger }) {
		this.#dir = dir;
		this.#dataDir = dataDir;
		this.#log = log;
	}

	/** Keys that are changed without a server are told when this replica's server starts. */
	get isTellingOthers(): boolean {
		return this.#tellsOthers();
	}

	async ask(feature: string, { question, onRequestId, onText, signal }: SessionAsk): Promise<AskReply> {
		const { runtime } = await this.#openForSearch(
			({ releases }) => releases.get(feature)?.contract.retrieval?.collection ?? null,
		);
		return inProcess(runtime, { tenantId: TENANT, signal }, async (context) => {
			onRequestId?.(context.id);
			const answer = await runtime.chat(context, {
				model: feature,
				messages: [{ role: 'user', content: question }],
				variables: {},
				parameters: {},
				sink: { chunk: ({ text }) => (text === '' ? undefined : onText?.(text)) },
				user: null,
			});
			const created = Math.floor(context.trace.started_at / 1000);
			return {
				...extras({ requestId: context.id, created, model: feature }, answer),
				answer: answer.text,
				finish_reason: answer.finishReason,
				usage: openAiUsage(answer.usage),
			};
		});
	}

	async search(collection: string, { query, k, mode, filter: where, signal }: SessionSearch): Promise<SearchReply> {
		const { runtime } = await this.#openForSearch(() => collection);
		return inProcess(runtime, { tenantId: TENANT, signal }, async (context) =>
			searchResponse(context.id, await runtime.search(context, { collection, query, k, mode, where })),
		);
	}

	async collections(): Promise<readonly CollectionStatus[]> {
		return (await this.#open()).operator.retriever.status();
	}

	async ingest(collection: string, options: SessionIngest): Promise<IngestReport> {
		return (await this.#open()).operator.ingest(collection, options);
	}

	async trace(requestId: string): Promise<TracedReply> {
		const trace = (await (await this.#readTraces())?.find(requestId, null)) ?? null;
		if (trace) {
			const of = { tenantId: trace.tenant_id, requestId: trace.request_id, feature: null, rating: null, limit: 100 };
			const hasRecords = existsSync(join(this.#dataDir, RECORD_FILE));
			return { ...trace, feedback: hasRecords ? await this.feedback(of) : [] };
		}
		throw new PlimsollError('trace_not_found', `No trace with the id "${requestId.slice(0, 100)}" is stored.`);
	}

	async feedback(query: FeedbackQuery): Promise<readonly FeedbackReply[]> {
		return (await (await this.#openRecords()).feedback.list(query)).map(feedbackRow);
	}

	async removeFeedback(which: FeedbackRemoval): Promise<number> {
		const records = await this.#openRecords();
		const users = new UserHash(join(this.#dataDir, USER_HASH_KEY_FILE), systemRandom);
		return removeFeedback({ records, users, clock: systemClock }, which, PROCESS_ACTOR);
	}

	async traces({ feature, limit }: { feature: string | null; limit: number }): Promise<TracesReply> {
		const reader = await this.#readTraces();
		if (reader === null) return { requests: [], stats: [] };
		const requests = await reader.recent({ tenantId: null, feature, limit });
		const stats = await reader.stats({ tenantId: null, feature, sinceMs: systemClock.now() - DAY_MS });
		return { requests, stats };
	}

	async listKeys(): Promise<readonly KeyReply[]> {
		return (await (await this.#openKeys()).list()).map(keyRow);
	}

	async createKey(ask: SessionKey): Promise<NewKeyReply> {
		const asked = newKey(checkBody(KeyBody, ask));
		const { key, secret } = await (await this.#openKeys()).create(asked, PROCESS_ACTOR);
		return { ...keyRow(key), secret };
	}

	async rotateKey(id: string, ask: SessionRotation): Promise<NewKeyReply> {
		const asked = rotation(checkBody(RotateBody, ask));
		const { key, secret } = await (await this.#openKeys()).rotate(id, asked, PROCESS_ACTOR);
		return { ...keyRow(key), secret };
	}

	async revokeKey(id: string): Promise<void> {
		await (await this.#openKeys()).revoke(id, PROCESS_ACTOR);
	}

	async rotateUserHash(): Promise<string> {
		const records = await this.#openRecords();
		const users = new UserHash(join(this.#dataDir, USER_HASH_KEY_FILE), systemRandom);
		return rotateUserHash({ users, records, clock: systemClock }, PROCESS_ACTOR);
	}

	async audit(limit: number): Promise<readonly AuditReply[]> {
		return (await (await this.#openRecords()).listAudit(limit)).map(auditEntryRow);
	}

	async listSettings(kind: SettingsKind): Promise<readonly SettingsReply[]> {
		const views = (await (await this.#open()).tenants.list(kind)).map(settingsRow);
		return views.map((row) => SETTINGS_REPLY[kind].parse(row));
	}

	async showSettings(kind: SettingsKind, name: string): Promise<SettingsReply> {
		return SETTINGS_REPLY[kind].parse(settingsRow(await (await this.#open()).tenants.show(kind, name)));
	}

	async setSettings(target: SettingsTarget, settings: unknown): Promise<SettingsReply> {
		const view = await (await this.#open()).tenants.set(target, settings, PROCESS_ACTOR);
		return SETTINGS_REPLY[target.kind].parse(settingsRow(view));
	}

	async removeSettings(target: SettingsTarget): Promise<number> {
		return (await this.#open()).tenants.remove(target, PROCESS_ACTOR);
	}

	async limits(): Promise<readonly LimitReply[]> {
		return (await (await this.#open()).operator.limits(null)).map(limitRow);
	}

	async alerts(ask: { open: boolean; limit: number }): Promise<readonly AlertReply[]> {
		return (await (await this.#openAlerts()).list(ask)).map(alertRow);
	}

	async orderAlert(id: string, what: 'acknowledge' | 'close'): Promise<AlertReply> {
		const parts = { sink: await this.#openAlerts(), records: await this.#openRecords(), clock: systemClock };
		return alertRow(await orderAlert(parts, { id, what, actor: PROCESS_ACTOR }));
	}

	async quarantine(collection: string, query: Parameters<Session['quarantine']>[1]): Promise<QuarantineListReply> {
		const { entries, count } = await (await this.#openQuarantine()).list({ collection, ...query });
		return { collection, count, documents: entries.map(entryRow) };
	}

	async quarantineEntry(collection: string, id: string): Promise<QuarantineReply> {
		return entryRow(await (await this.#openQuarantine()).find(collection, id));
	}

	async markQuarantine(collection: string, ids: readonly string[] | null, order: 'retry' | 'drop'): Promise<number> {
		return (await this.#openQuarantine()).mark(collection, ids, order === 'drop' ? 'dropped' : order);
	}

	async runCanaries(collection: string, signal: AbortSignal): Promise<CanaryRunReply> {
		return runRow(await (await this.#open()).operator.runCanaries(collection, { signal }));
	}

	async acceptCanaries(collection: string): Promise<CanaryRunReply> {
		return runRow(await (await this.#open()).operator.acceptCanaries(collection, OWNER));
	}

	async suggestCanaries(collection: string, ask: SessionSuggestion): Promise<SuggestionsReply> {
		const { operator } = await this.#open();
		return suggestionsRow(await operator.suggestCanaries(collection, { tenant: TENANT, ...ask }));
	}

	/** What is known without a server: no check has been made. */
	async canaries(): Promise<readonly CanaryHealthReply[]> {
		return (await this.#open()).operator.collectionHealth().map(healthRow);
	}

	async canaryRuns(ask: { collection: string | null; limit: number }): Promise<readonly CanaryRunReply[]> {
		return (await (await this.#open()).operator.listCanaryRuns({ kind: null, ...ask })).map(runRow);
	}

	async embedders(): Promise<readonly EmbedderReply[]> {
		return (await (await this.#open()).operator.embedders.list()).map(embedderRow);
	}

	async checkEmbedder(embedder: string): Promise<EmbedderReply> {
		const { operator } = await this.#open();
		// Between two measurements there is nothing that keeps the process alive.
		return embedderRow(await keptAlive(operator.embedders.check(embedder)));
	}

	upstreams(): Promise<readonly UpstreamReply[]> {
		return Promise.reject(needsServer());
	}

	orderBreaker(): Promise<UpstreamReply> {
		return Promise.reject(needsServer());
	}

	async flags(): Promise<readonly FlagReply[]> {
		return (await this.#open()).operator.flags().map(flagRow);
	}

	async explainFlag(flag: string, ask: SessionFlag): Promise<ExplanationReply> {
		const { operator } = await this.#open();
		return explanationRow(await operator.explainFlag(flag, flagQuestion(checkBody(FlagBody, ask))));
	}

	async describe(): Promise<Description> {
		return (await this.#open()).operator.describe();
	}

	async admission(): Promise<null> {
		return null;
	}

	async close(): Promise<void> {
		await this.#opened.disposeAsync();
	}

	/** A process that ends after one search waits for what a server has loaded long before, of the collection that is searched. */
	async #openForSearch(searched: (project: Services['project']) => string | null): Promise<Services> {
		const services = await this.#open();
		await services.loadReranker(searched(services.project));
		return services;
	}

	#open(): Promise<Services> {
		this.#services ??= this.#openServices();
		return this.#services;
	}

	async #openQuarantine() {
		return quarantineOperator({ records: await this.#openRecords() });
	}

	async #openServices(): Promise<Services> {
		const loaded = await loadProject(this.#dir, process.env);
		if (!loaded.ok) throw configurationError(loaded.problems);
		const opened = await openServices(loaded.value, this.#log);
		this.#tellsOthers = () => opened.operator.isTellingOthers();
		return this.#opened.adopt(opened, async (services) => {
			await services.runtime.drain();
			await services.close();
		});
	}

	async #openKeys(): Promise<KeyAdmin> {
		if (this.#services) return (await this.#services).keys;
		const records = await this.#openRecords();
		const keys = new KeyAdmin({ records, keyring: new Keyring(systemClock), clock: systemClock, random: systemRandom });
		await keys.load();
		return keys;
	}

	/** The records alone. The services, where a call opened them, hold the lock of the data folder already. */
	#openRecords(): Promise<RecordStore> {
		this.#records ??= (async () => {
			if (this.#services) await this.#services;
			else this.#opened.adopt(lockDataFolder(this.#dataDir), (folder) => folder.release());
			return this.#opened.adopt(openSqliteRecords(join(this.#dataDir, RECORD_FILE)), (store) => store.close());
		})();
		return this.#records;
	}

	/** As they are on record: nobody is told of what is changed here before the server starts. */
	async #openAlerts(): Promise<AlertSink> {
		await this.#openRecords();
		const records = this.#opened.adopt(openSqliteHealth(join(this.#dataDir, RECORD_FILE)), (store) => store.close());
		const newId = createIds(systemClock, systemRandom);
		const sink = new AlertSink({
			records,
			clock: systemClock,
			newId,
			log: () => {},
			warn: (message) => this.#log.warn(message),
		});
		await sink.load();
		return sink;
	}

	/** Null when nothing was ever traced. */
	async #readTraces() {
		const file = join(this.#dataDir, TRACE_FILE);
		if (!existsSync(file)) return null;
		this.#traces ??= openTraceReader(file).then((reader) => this.#opened.adopt(reader, () => reader.close()));
		return this.#traces;
	}
}

/** How upstreams stand is known to the process that calls them. */
function needsServer(): PlimsollError {
	return new PlimsollError(
		'server_unreachable',
		'No server of this project runs; only a running one knows its upstreams.',
	);
}
