import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Logger } from 'pino';
import { systemClock } from '../base/clock.ts';
import { systemRandom } from '../base/random.ts';
import { keyRow, limitRow } from '../gateway/admin-routes.ts';
import { KeyBody } from '../gateway/chat-body.ts';
import { extras, openAiUsage } from '../gateway/chat-response.ts';
import { checkBody } from '../gateway/json-body.ts';
import { searchResponse } from '../gateway/search-response.ts';
import { Keyring } from '../runtime/keyring.ts';
import type { RequestContext } from '../runtime/request-context.ts';
import { configurationError, PlimsollError } from '../spec/errors.ts';
import type { Scope } from '../spec/records.ts';
import type { CollectionStatus, IngestProgress, IngestReport } from '../spec/retrieval.ts';
import type { RequestTrace } from '../spec/trace.ts';
import { lockDataFolder } from '../stores/data-folder.ts';
import { openSqliteRecords } from '../stores/sqlite.ts';
import { openTraceReader } from '../telemetry/trace-reader.ts';
import type { AskReply, KeyReply, LimitReply, NewKeyReply, SearchReply, TracesReply } from './gateway-reply.ts';
import { KeyAdmin } from './keys.ts';
import { loadProject } from './load-project.ts';
import { openServices, RECORD_FILE, type Services, TRACE_FILE } from './services.ts';
import type { Session, SessionAsk, SessionSearch } from './session.ts';

const DAY_MS = 86_400_000;
const TENANT = 'default';

/** A session in this process. Opens only the parts that its calls need: keys and traces work on a broken project too. */
export class LocalSession implements Session {
	readonly url = null;
	readonly #dir: string;
	readonly #dataDir: string;
	readonly #log: Logger;
	readonly #opened = new AsyncDisposableStack();
	#services: Promise<Services> | null = null;
	#keys: Promise<KeyAdmin> | null = null;
	#traces: ReturnType<typeof openTraceReader> | null = null;

	constructor({ dir, dataDir, log }: { dir: string; dataDir: string; log: Logger }) {
		this.#dir = dir;
		this.#dataDir = dataDir;
		this.#log = log;
	}

	async ask(feature: string, { question, onRequestId, onText, signal }: SessionAsk): Promise<AskReply> {
		const { runtime } = await this.#open();
		return this.#within(signal, async (context) => {
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

	async search(collection: string, { query, k, mode, signal }: SessionSearch): Promise<SearchReply> {
		const { runtime } = await this.#open();
		return this.#within(signal, async (context) =>
			searchResponse(context.id, await runtime.search(context, { collection, query, k, mode })),
		);
	}

	async collections(): Promise<readonly CollectionStatus[]> {
		return (await this.#open()).operator.retriever.status();
	}

	async ingest(
		collection: string,
		options: { onProgress: (progress: IngestProgress) => void; signal: AbortSignal },
	): Promise<IngestReport> {
		return (await this.#open()).operator.ingest(collection, options);
	}

	async trace(requestId: string): Promise<RequestTrace> {
		const trace = (await (await this.#readTraces())?.find(requestId, null)) ?? null;
		if (trace) return trace;
		throw new PlimsollError('trace_not_found', `No trace with the id "${requestId.slice(0, 100)}" is stored.`);
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

	async createKey(ask: { name: string; tenant: string; scopes: readonly Scope[] }): Promise<NewKeyReply> {
		const { name, tenant: tenantId, scopes } = checkBody(KeyBody, ask);
		const { key, secret } = await (await this.#openKeys()).create({ name, tenantId, scopes });
		return { ...keyRow(key), secret };
	}

	async revokeKey(id: string): Promise<void> {
		await (await this.#openKeys()).revoke(id);
	}

	async limits(): Promise<readonly LimitReply[]> {
		return (await (await this.#open()).operator.limits(null)).map(limitRow);
	}

	async close(): Promise<void> {
		await this.#opened.disposeAsync();
	}

	/** Admits a request of this process; it ends early when the caller's signal aborts. */
	async #within<T>(signal: AbortSignal | undefined, run: (context: RequestContext) => Promise<T>): Promise<T> {
		const { runtime } = await this.#open();
		const context = runtime.open();
		await runtime.admit(context, { kind: 'in_process', tenantId: TENANT });
		const leave = () => context.clientLeft();
		if (signal?.aborted) leave();
		signal?.addEventListener('abort', leave, { once: true });
		try {
			return await run(context);
		} finally {
			signal?.removeEventListener('abort', leave);
		}
	}

	#open(): Promise<Services> {
		this.#services ??= this.#openServices();
		return this.#services;
	}

	async #openServices(): Promise<Services> {
		const loaded = await loadProject(this.#dir, process.env);
		if (!loaded.ok) throw configurationError(loaded.problems);
		return this.#opened.adopt(await openServices(loaded.value, this.#log), async (services) => {
			await services.runtime.drain();
			await services.close();
		});
	}

	async #openKeys(): Promise<KeyAdmin> {
		if (this.#services) return (await this.#services).keys;
		this.#keys ??= (async () => {
			this.#opened.adopt(lockDataFolder(this.#dataDir), (folder) => folder.release());
			const store = openSqliteRecords(join(this.#dataDir, RECORD_FILE));
			const records = this.#opened.adopt(store, () => store.close());
			return new KeyAdmin({ records, keyring: new Keyring(), clock: systemClock, random: systemRandom });
		})();
		return this.#keys;
	}

	/** Null when nothing was ever traced. */
	async #readTraces() {
		const file = join(this.#dataDir, TRACE_FILE);
		if (!existsSync(file)) return null;
		this.#traces ??= openTraceReader(file).then((reader) => this.#opened.adopt(reader, () => reader.close()));
		return this.#traces;
	}
}
