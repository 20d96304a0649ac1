import type { AddressInfo } from 'node:net';
import type { Logger } from 'pino';
import { systemClock } from '../base/clock.ts';
import type { ProjectConfig } from '../contracts/project.ts';
import { createGateway } from '../gateway/gateway.ts';
import { asPlimsollError, configurationError, PlimsollError } from '../spec/errors.ts';
import type { Problem } from '../spec/problem.ts';
import type { CollectionStatus, IngestProgress, IngestReport } from '../spec/retrieval.ts';
import { asListenError } from './listen-error.ts';
import { loadProject } from './load-project.ts';
import { settingsNeedingRestart } from './restart-settings.ts';
import { openServices, type Services } from './services.ts';
import { version } from './version.ts';
import { watchProject } from './watch-project.ts';

/** How long requests whose sockets were closed may take to notice, milliseconds. */
const CUT_OFF_MS = 1_000;

/** What a start tells whoever watches it. */
export interface ServeEvents {
	onIngestProgress(collection: string, progress: IngestProgress): void;
	/** With what the index holds after the run. */
	onIngested(report: IngestReport, status: CollectionStatus): void;
	onIngestFailed(collection: string, error: PlimsollError): void;
	/** With the changed settings that wait for the next start, e.g. `server.port`. */
	onReloaded(features: readonly string[], needRestart: readonly string[]): void;
	/** A broken edit: what was loaded last serves on. */
	onReloadRefused(problems: readonly Problem[]): void;
}

export interface RunningServer {
	readonly url: string;
	readonly services: Services;
	/** How long `stop` waits for running requests: as it was at the start, whatever was edited since. */
	readonly drainMs: number;
	readonly developmentKey: { readonly secret: string; readonly file: string };
	/** Resolves when every collection that had no index has been ingested, or has failed to, and its canaries were run. */
	readonly firstIngest: Promise<void>;
	/** Lets running requests end (at most `drainMs`), then closes everything. Further calls wait for the first. */
	stop(): Promise<void>;
}

/** Loads a project, opens everything and listens. Throws what is wrong with the project, the data folder or the address. */
export async function serve(
	options: { dir: string; host?: string; port?: number },
	parts: { log: Logger; events: ServeEvents },
): Promise<RunningServer> {
	const loaded = await loadProject(options.dir, process.env);
	if (!loaded.ok) throw configurationError(loaded.problems);
	const project = loaded.value;
	await using opened = new AsyncDisposableStack();
	const services = opened.adopt(await openServices(project, parts.log), (all) => all.close());
	const developmentKey = await services.keys.developmentKey(project.config.dataDir);

	services.authenticator.prepare();
	services.watch();
	void services.loadRerankers();

	const { server } = project.config;
	const gateway = gatewayTo(services, server, parts.log);
	opened.defer(async () => {
		// Whoever is still connected had the drain's time to finish.
		gateway.server.closeAllConnections();
		await gateway.close();
		// What goes on for the next to ask with its key would not notice.
		await services.idempotency.close();
		// What still ran has lost its client and ends now; its trace must come before the trace store closes.
		await drain(services, CUT_OFF_MS);
	});
	const url = await listen(gateway, { host: options.host ?? server.host, port: options.port ?? server.port });
	services.dataFolder.publish({ pid: process.pid, url });

	const stopping = new AbortController();
	const ingestion = new Ingestion(services, parts.events, stopping.signal);
	const watcher = watchProject(options.dir, process.env, {
		clock: systemClock,
		current: project,
		onLoaded: async (next) => {
			await services.update(next);
			parts.events.onReloaded([...next.releases.keys()], settingsNeedingRestart(project.config, next.config));
			void ingestion.runAll();
		},
		onRefused: (problems) => parts.events.onReloadRefused(problems),
	});
	opened.defer(() => watcher.close());
	services.canaries.start();
	const firstIngest = ingestion.runAll().then(() => services.canaries.settle());
	const all = opened.move();

	let stopped: Promise<void> | null = null;
	const stop = async () => {
		stopping.abort(new PlimsollError('server_draining', 'The server is stopping.'));
		await watcher.close();
		await drain(services, server.drainMs);
		await ingestion.settled();
		await all.disposeAsync();
	};
	return {
		url,
		services,
		drainMs: server.drainMs,
		developmentKey,
		firstIngest,
		stop: () => {
			stopped ??= stop();
			return stopped;
		},
	};
}

function gatewayTo(services: Services, server: ProjectConfig['server'], log: Logger): ReturnType<typeof createGateway> {
	return createGateway(
		{
			clock: systemClock,
			runtime: services.runtime,
			operator: services.operator,
			authenticator: services.authenticator,
			idempotency: services.idempotency,
			sessions: services.sessions,
			version,
			get metricsAreOpen() {
				return services.project.config.server.metrics === 'open';
			},
		},
		{
			bodyBytesMax: server.bodyBytesMax,
			headerBytesMax: server.headerBytesMax,
			onFault: (error, requestId) => log.error({ requestId, code: error.code, internal: error.internal }, 'fault'),
		},
	);
}

/** Brings every collection up to date, one after the other, so that ingestion never takes more than one core. */
class Ingestion {
	readonly #services: Services;
	readonly #events: ServeEvents;
	readonly #signal: AbortSignal;
	#last: Promise<void> = Promise.resolve();
	#waiting: Promise<void> | null = null;

	constructor(services: Services, events: ServeEvents, signal: AbortSignal) {
		this.#services = services;
		this.#events = events;
		this.#signal = signal;
	}

	/** Resolves when a pass that began after this call has ended: the one that waits already serves any number of calls. */
	runAll(): Promise<void> {
		this.#waiting ??= this.#last.then(async () => {
			this.#waiting = null;
			for (const name of this.#services.project.config.collections.keys()) await this.#run(name);
		});
		this.#last = this.#waiting;
		return this.#waiting;
	}

	settled(): Promise<void> {
		return this.#last;
	}

	async #run(collection: string): Promise<void> {
		if (this.#signal.aborted) return;
		try {
			const report = await this.#services.operator.ingest(collection, {
				signal: this.#signal,
				onProgress: (progress) => this.#events.onIngestProgress(collection, progress),
			});
			const status = this.#services.operator.retriever.status().find((one) => one.collection === collection);
			// None when an edit took the collection out meanwhile.
			if (status) this.#events.onIngested(report, status);
		} catch (thrown) {
			if (!this.#signal.aborted) this.#events.onIngestFailed(collection, asPlimsollError(thrown));
		}
	}
}

async function listen(
	gateway: ReturnType<typeof createGateway>,
	{ host, port }: { host: string; port: number },
): Promise<string> {
	try {
		await gateway.listen({ host, port });
	} catch (thrown) {
		throw asListenError(thrown, `${host}:${port}`);
	}
	const { address, port: bound, family } = gateway.server.address() as AddressInfo;
	return `http://${family === 'IPv6' ? `[${address}]` : address}:${bound}`;
}

/** Running requests end by themselves; past the limit, closing their sockets ends them. */
async function drain(services: Services, ms: number): Promise<void> {
	const { promise: timeUp, resolve } = Promise.withResolvers<void>();
	const cancel = systemClock.after(ms, resolve);
	await Promise.race([services.runtime.drain(ms), timeUp]);
	cancel();
}
