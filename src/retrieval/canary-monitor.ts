import { isDeepStrictEqual } from 'node:util';
import type { Clock } from '../base/clock.ts';
import { sha256 } from '../base/hash.ts';
import { type Random, seededRandom } from '../base/random.ts';
import type { Canary } from '../contracts/canary.ts';
import type { CanarySet } from '../contracts/canary-set.ts';
import { type CheckState, NOT_CHECKED, nextBaseline, nextCheckState } from '../policy/canary-verdict.ts';
import type { Alerts } from '../spec/alerts.ts';
import type { CanaryBaseline, CanaryOutcome, CanaryRun, CanaryRunKind, CollectionHealth } from '../spec/canaries.ts';
import { PlimsollError } from '../spec/errors.ts';
import type { HealthRecords } from '../spec/health-records.ts';
import type { CollectionStatus, Retriever } from '../spec/retrieval.ts';
import { CanaryAlerts } from './canary-alerts.ts';
import { type CanaryReport, type CanarySearch, runCanaries } from './canary-run.ts';
import { outcomesOf, summarise } from './canary-summary.ts';

/** How often it is looked whether a generation has changed or a run is due; costs nothing. */
const LOOK_MS = 1_000;
/** A run that failed is made again soon, so that an accident is over before anybody hears of it. */
const AGAIN_MS = 5_000;
/** While a collection fails its checks. */
const FAILING_MS = 60_000;
/** What the daily run found must be found once more, at another moment. */
const CONFIRM_MS = 600_000;
const DAY_MS = 86_400_000;
/** In which the first daily runs of a deployment's collections are spread. */
const SPREAD_MS = 1_800_000;
/** A whole run; what is left then is unanswered. */
const RUN_MS_MAX = 300_000;

export interface MonitorParts {
	readonly retriever: Pick<Retriever, 'search' | 'status'>;
	readonly records: HealthRecords;
	readonly alerts: Alerts;
	readonly clock: Clock;
	readonly random: Random;
	readonly warn: (message: string) => void;
	/** The share of exact search's nearest chunks that approximate search finds; null where vectors are not searched. */
	readonly approximateRecall: (
		collection: string,
		canaries: readonly Canary[],
		signal: AbortSignal,
	) => Promise<number | null>;
}

interface RunOptions {
	readonly signal?: AbortSignal;
	readonly onDone?: (done: number) => void;
}

/** What is known of one collection. */
interface Watched {
	set: CanarySet;
	/** The generation that the state is about. */
	generation: string | null;
	state: CheckState;
	isEmpty: boolean;
	/** Monotonic milliseconds; null: at once. */
	checkAt: number | null;
	/** Wall time of the next daily run; null: not known yet. */
	dailyAt: number | null;
	/** The daily run before found a drop. */
	isSuspected: boolean;
	isRunning: boolean;
	lastRun: CanaryRun | null;
}

/** Runs canaries at the start, when another generation goes live, on a schedule and once a day, and says how collections stand. */
export class CanaryMonitor {
	readonly #parts: MonitorParts;
	readonly #watched = new Map<string, Watched>();
	readonly #alerts: CanaryAlerts;
	readonly #closing = new AbortController();
	/** One run at a time, whatever collection it is of. */
	#queue: Promise<unknown> = Promise.resolve();
	#cancelTimer: (() => void) | null = null;

	constructor(parts: MonitorParts) {
		this.#parts = parts;
		this.#alerts = new CanaryAlerts(parts.alerts);
	}

	/** Puts other canaries in force. Collections whose canaries changed are checked anew. */
	update(sets: ReadonlyMap<string, CanarySet>): void {
		for (const collection of this.#watched.keys()) if (!sets.has(collection)) this.#watched.delete(collection);
		for (const [collection, set] of sets) {
			const known = this.#watched.get(collection);
			if (known === undefined) this.#watched.set(collection, newlyWatched(set));
			else {
				if (versionOf(known.set) !== versionOf(set)) known.checkAt = null;
				known.set = set;
			}
		}
	}

	/** Begins to look after collections; without it only `run` runs canaries. */
	start(): void {
		if (this.#closing.signal.aborted) return;
		this.#look();
		this.#cancelTimer = this.#parts.clock.after(LOOK_MS, () => this.start());
	}

	/** Looks now whether a run is due, and resolves when it has ended. */
	async settle(): Promise<void> {
		this.#look();
		await this.#queue;
	}

	health(): readonly CollectionHealth[] {
		const statuses = new Map(this.#parts.retriever.status().map((status) => [status.collection, status]));
		return [...this.#watched.values()].map((watched) => healthOf(watched, statuses.get(watched.set.collection)));
	}

	/** Runs all canaries of a collection now. Throws `collection_not_found`, `canaries_missing`, `index_not_ready`. */
	async run(collection: string, options: RunOptions = {}): Promise<CanaryRun> {
		const watched = this.#held(collection);
		return (await this.#enqueue(() => this.#execute(watched, 'manual', options))).run;
	}

	/** Takes what the canaries come to now as what later runs are compared with: an expected loss is then none. */
	async accept(collection: string): Promise<CanaryRun> {
		const watched = this.#held(collection);
		const { run, outcomes } = await this.#enqueue(() => this.#execute(watched, 'manual', {}));
		const { at, generation } = run;
		await this.#parts.records.putCanaryBaseline({ collection, at, generation, outcomes });
		watched.isSuspected = false;
		this.#alerts.notDropped(collection);
		return run;
	}

	async close(): Promise<void> {
		this.#closing.abort(new PlimsollError('server_draining', 'The server is stopping.'));
		this.#cancelTimer?.();
		await this.#queue;
	}

	#held(collection: string): Watched {
		const watched = this.#watched.get(collection);
		if (watched === undefined) {
			throw new PlimsollError('collection_not_found', `No collection is named "${collection.slice(0, 100)}".`, {
				param: 'collection',
			});
		}
		if (watched.set.groups.length > 0) return watched;
		throw new PlimsollError(
			'canaries_missing',
			`${collection} has no canaries: give it a file of them, or write canaries.jsonl in the folder of a feature that retrieves from it.`,
		);
	}

	#look(): void {
		const statuses = new Map(this.#parts.retriever.status().map((status) => [status.collection, status]));
		for (const watched of this.#watched.values()) {
			const status = statuses.get(watched.set.collection);
			if (status) this.#lookAt(watched, status);
		}
	}

	#lookAt(watched: Watched, status: CollectionStatus): void {
		const { generation, chunks } = status;
		if (generation === null) return;
		this.#tellEmpty(watched, chunks === 0);
		if (watched.set.groups.length === 0) {
			// Canaries that are gone leave no alert behind.
			this.#alerts.passing(watched.set.collection);
			this.#alerts.notDropped(watched.set.collection);
		}
		if (watched.set.groups.length === 0 || watched.isRunning) return;
		const now = this.#parts.clock.monotonic();
		const kind = this.#due(watched, generation, now);
		if (kind === null) return;
		watched.generation = generation;
		watched.isRunning = true;
		void this.#enqueue(() => this.#execute(watched, kind, {}))
			.catch((thrown: unknown) => {
				if (this.#closing.signal.aborted) return;
				this.#parts.warn(`the canaries of ${watched.set.collection} could not be run: ${messageOf(thrown)}`);
				watched.checkAt = this.#parts.clock.monotonic() + AGAIN_MS;
			})
			.finally(() => {
				watched.isRunning = false;
			});
	}

	/** What should be run now; null: nothing. */
	#due(watched: Watched, generation: string, now: number): CanaryRunKind | null {
		if (watched.generation === null) return 'start';
		if (watched.generation !== generation) return 'promotion';
		if (watched.checkAt === null || now >= watched.checkAt) return 'schedule';
		return watched.dailyAt !== null && this.#parts.clock.now() >= watched.dailyAt ? 'daily' : null;
	}

	#enqueue<T>(run: () => Promise<T>): Promise<T> {
		const result = this.#queue.then(run);
		this.#queue = result.catch(() => null);
		return result;
	}

	async #execute(
		watched: Watched,
		kind: CanaryRunKind,
		options: RunOptions,
	): Promise<{ run: CanaryRun; outcomes: readonly CanaryOutcome[] }> {
		const { records, clock } = this.#parts;
		const { set } = watched;
		if (watched.dailyAt === null) await this.#planDaily(watched);
		const picks = kind === 'daily' ? this.#sample(set) : null;
		const report = await this.#ask(set, { ...options, ...(picks && { picks: (canary) => picks.has(canary) }) });
		const outcomes = outcomesOf(report);
		const baseline = await records.canaryBaseline(set.collection);
		const isRoutine = kind === 'schedule';
		const run = summarise(set, {
			kind,
			at: clock.now(),
			report,
			baseline: isRoutine ? null : baseline,
			approximateRecall: isRoutine ? null : await this.#approximate(set, outcomes),
		});
		watched.lastRun = run;
		const { status } = watched.state;
		if (kind === 'daily') this.#afterDaily(watched, run);
		else await this.#afterCheck(watched, run, { outcomes, baseline });
		if (!isRoutine || watched.state.status !== status) await records.putCanaryRun(run);
		return { run, outcomes };
	}

	#ask(
		set: CanarySet,
		{ signal, onDone, picks }: RunOptions & { picks?: (canary: Canary) => boolean },
	): Promise<CanaryReport> {
		const { clock, retriever } = this.#parts;
		const started = clock.monotonic();
		const search: CanarySearch = async (request) => {
			if (clock.monotonic() - started > RUN_MS_MAX) throw new Error('the run took too long');
			return retriever.search({ ...request, collection: set.collection });
		};
		const ends = AbortSignal.any([this.#closing.signal, ...(signal ? [signal] : [])]);
		return runCanaries(search, set.groups, { signal: ends, ...(onDone && { onDone }), ...(picks && { picks }) });
	}

	async #approximate(set: CanarySet, outcomes: readonly CanaryOutcome[]): Promise<number | null> {
		const asked = new Set(outcomes.map(({ id }) => id));
		const canaries = set.groups.flatMap((group) => group.canaries.filter(({ id }) => asked.has(id)));
		try {
			return await this.#parts.approximateRecall(set.collection, canaries, this.#closing.signal);
		} catch (thrown) {
			this.#closing.signal.throwIfAborted();
			this.#parts.warn(`approximate search in ${set.collection} could not be measured: ${messageOf(thrown)}`);
			return null;
		}
	}

	async #afterCheck(
		watched: Watched,
		run: CanaryRun,
		{ outcomes, baseline }: { outcomes: readonly CanaryOutcome[]; baseline: CanaryBaseline | null },
	): Promise<void> {
		const { clock, random, records } = this.#parts;
		const { collection, checks } = watched.set;
		const { verdict, generation, at } = run;
		watched.state = nextCheckState(watched.state, run);
		const { status } = watched.state;
		const jittered = checks.everyMs * (0.9 + 0.2 * random.next());
		const wait = verdict === 'passed' ? jittered : status === 'failing' ? Math.min(FAILING_MS, jittered) : AGAIN_MS;
		watched.checkAt = clock.monotonic() + wait;
		if (verdict !== 'passed') {
			if (status === 'failing') this.#alerts.failing(run);
			return;
		}
		this.#alerts.passing(collection);
		const next = nextBaseline(baseline, { collection, at, generation, outcomes });
		if (!isDeepStrictEqual(next, baseline)) await records.putCanaryBaseline(next);
	}

	#afterDaily(watched: Watched, run: CanaryRun): void {
		const now = this.#parts.clock.now();
		const isDropped = run.comparison?.dropped === true;
		const isConfirmed = isDropped && watched.isSuspected;
		watched.isSuspected = isDropped;
		watched.dailyAt = now + (isDropped && !isConfirmed ? CONFIRM_MS : DAY_MS);
		if (isConfirmed) this.#alerts.dropped(run);
		if (run.comparison && !isDropped) this.#alerts.notDropped(watched.set.collection);
	}

	#tellEmpty(watched: Watched, isEmpty: boolean): void {
		const { collection, checks } = watched.set;
		if (!isEmpty) this.#alerts.notEmpty(collection);
		else if (!watched.isEmpty) this.#alerts.empty(collection, checks.required ? 'page' : 'ticket');
		watched.isEmpty = isEmpty;
	}

	/** As if this process had made the last run that is on record; the first of all soon, and never all collections at once. */
	async #planDaily(watched: Watched): Promise<void> {
		const { clock, records } = this.#parts;
		const { collection } = watched.set;
		const [last] = await records.listCanaryRuns({ collection, kind: 'daily', limit: 1 });
		watched.isSuspected = last?.comparison?.dropped === true;
		if (last) watched.dailyAt = last.at + (watched.isSuspected ? CONFIRM_MS : DAY_MS);
		else watched.dailyAt = clock.now() + fraction(collection) * SPREAD_MS;
	}

	/** Other ones each day, the same ones on every replica. */
	#sample(set: CanarySet): ReadonlySet<Canary> {
		const day = Math.floor(this.#parts.clock.now() / DAY_MS);
		const random = seededRandom(fraction(`${set.collection} ${day}`) * 2 ** 32);
		const drawn = set.groups.flatMap(({ canaries }) => canaries).map((canary) => ({ canary, at: random.next() }));
		drawn.sort((a, b) => a.at - b.at);
		return new Set(drawn.slice(0, set.checks.sample).map(({ canary }) => canary));
	}
}

/** Of a text always the same number in [0, 1). */
function fraction(text: string): number {
	return Number.parseInt(sha256(text).slice(0, 8), 16) / 2 ** 32;
}

function newlyWatched(set: CanarySet): Watched {
	return {
		set,
		generation: null,
		state: NOT_CHECKED,
		isEmpty: false,
		checkAt: null,
		dailyAt: null,
		isSuspected: false,
		isRunning: false,
		lastRun: null,
	};
}

function healthOf(watched: Watched, status: CollectionStatus | undefined): CollectionHealth {
	const { set, state, lastRun } = watched;
	const { collection, checks } = set;
	const shared = { collection, required: checks.required, lastRun };
	if (!status?.generation) return { ...shared, status: 'no_index', why: 'it has no live index' };
	if (status.chunks === 0) return { ...shared, status: 'empty', why: 'its live index is empty' };
	if (set.groups.length === 0) return { ...shared, status: 'unchecked', why: null };
	return { ...shared, status: state.status, why: state.why === '' ? null : state.why };
}

function versionOf({ groups }: CanarySet): string {
	return JSON.stringify(groups);
}

function messageOf(thrown: unknown): string {
	return thrown instanceof Error ? thrown.message : String(thrown);
}
