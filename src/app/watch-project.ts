import { stat } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { watch } from 'chokidar';
import { canonicalJson } from '../base/canonical-json.ts';
import type { Clock } from '../base/clock.ts';
import type { Environment } from '../contracts/environment.ts';
import { isDropping } from '../contracts/feature-folder.ts';
import { PRICES_FILE } from '../contracts/price-schema.ts';
import { FLAGS_FILE, PROJECT_FILE } from '../contracts/project.ts';
import { FEATURES_DIR } from '../contracts/project-schema.ts';
import { fileProblem } from '../contracts/source-file.ts';
import type { Checked, Problem } from '../spec/problem.ts';
import { canaryFiles } from './load-canaries.ts';
import { type LoadedProject, loadProject } from './load-project.ts';

/** An editor's save is several events, a checkout is hundreds: wait until the files rest. */
const QUIET_MS = 100;
/** Files that never rest are loaded all the same. */
const PATIENCE_MS = 1_000;

interface WatchOptions {
	readonly clock: Clock;
	/** What the caller runs already; `onLoaded` stays silent while the files still say the same. */
	readonly current?: LoadedProject;
	/** Called with the whole project after a change that leaves it valid; the next load waits until it resolves. */
	readonly onLoaded: (project: LoadedProject) => void | Promise<void>;
	/** Called with every problem after a change that broke it; what was loaded last stays good. */
	readonly onRefused: (problems: readonly Problem[]) => void;
}

/**
 * Watches a project's files: edits, saves by rename, new and deleted features. Once they are watched, what changed
 * since `current` was loaded is reported too, so that no edit falls between a load and the watch.
 */
export function watchProject(dir: string, env: Environment, options: WatchOptions): { close(): Promise<void> } {
	const root = resolve(dir);
	const current = options.current?.config;
	const watched = new Set([
		join(root, PROJECT_FILE),
		join(root, FLAGS_FILE),
		current?.prices.file ?? join(root, PRICES_FILE),
		current?.featuresDir ?? join(root, FEATURES_DIR),
		...(current ? canaryFiles(current) : []),
	]);
	const watcher = watch([...watched], {
		// The first scan tells of every file: an edit between a load and the scan is thereby seen.
		ignoreInitial: false,
		// Feature, kind, file.
		depth: 2,
		persistent: false,
		ignored: (path) => !watched.has(path) && isDropping(basename(path)),
	});
	const reloader = new Reloader(options, async () => {
		const loaded = await loadProject(root, env);
		const config = loaded.value?.config;
		for (const path of config ? [config.featuresDir, config.prices.file, ...canaryFiles(config)] : []) {
			if (watched.has(path) || watcher.closed) continue;
			watched.add(path);
			watcher.add(path);
		}
		return loaded;
	});
	watcher.on('all', () => reloader.changed());
	watcher.on('ready', () => reloader.changed());
	watcher.on('error', (error) => {
		const hint = 'edits may not be seen until a restart; the system may allow too few watched files';
		options.onRefused([fileProblem('.', `cannot be watched: ${String(error)}`, hint)]);
	});
	return {
		close: async () => {
			await watcher.close();
			await reloader.close();
		},
	};
}

/** Turns bursts of events into loads, one at a time, and loads into calls. */
class Reloader {
	readonly #options: WatchOptions;
	readonly #load: () => Promise<Checked<LoadedProject>>;
	#cancelTimer: (() => void) | null = null;
	#firstEventAt: number | null = null;
	#running: Promise<void> = Promise.resolve();
	#closed = false;
	/** Null after a refusal: the repair is worth telling even when it restores the very same files. */
	#known: string | null;
	/** Features that serve now. */
	#features: number;

	constructor(options: WatchOptions, load: () => Promise<Checked<LoadedProject>>) {
		this.#options = options;
		this.#load = load;
		this.#known = options.current ? fingerprint(options.current) : null;
		this.#features = options.current?.releases.size ?? 0;
	}

	changed(): void {
		if (this.#closed) return;
		const { clock } = this.#options;
		this.#firstEventAt ??= clock.monotonic();
		const patience = this.#firstEventAt + PATIENCE_MS - clock.monotonic();
		this.#cancelTimer?.();
		this.#cancelTimer = clock.after(Math.max(0, Math.min(QUIET_MS, patience)), () => {
			this.#firstEventAt = null;
			this.#cancelTimer = null;
			this.#running = this.#running.then(() => this.#reload());
		});
	}

	async close(): Promise<void> {
		this.#closed = true;
		this.#cancelTimer?.();
		await this.#running;
	}

	async #reload(): Promise<void> {
		if (this.#closed) return;
		const loaded = await this.#load();
		if (this.#closed) return;
		if (!loaded.ok) return this.#refuse(loaded.problems);
		const { config, releases } = loaded.value;
		if (this.#features > 0 && releases.size === 0 && (await isGone(config.featuresDir))) {
			const hint = `bring it back, or make it an empty folder to serve without features`;
			return this.#refuse([fileProblem(config.featuresDir, 'does not exist, and features of it are served', hint)]);
		}
		const print = fingerprint(loaded.value);
		if (print === this.#known) return;
		try {
			await this.#options.onLoaded(loaded.value);
			this.#known = print;
			this.#features = releases.size;
		} catch (error) {
			this.#refuse([fileProblem('.', `could not be put to work: ${error instanceof Error ? error.message : error}`)]);
		}
	}

	#refuse(problems: readonly Problem[]): void {
		this.#known = null;
		this.#options.onRefused(problems);
	}
}

/** A folder that vanished is more often a broken mount or a checkout under way than a wish to serve nothing. */
async function isGone(dir: string): Promise<boolean> {
	return stat(dir).then(
		() => false,
		() => true,
	);
}

/** Equal for projects that behave alike. Holds secrets: never leaves this file. */
function fingerprint({ config, releases, flags, canaries }: LoadedProject): string {
	return canonicalJson({
		...config,
		upstreams: [...config.upstreams.values()],
		embedders: [...config.embedders.values()],
		collections: [...config.collections.values()],
		canaries: [...canaries.values()],
		flagDefinitions: [...flags.values()],
		releases: [...releases].map(([name, { hash }]) => [name, hash]),
	});
}
