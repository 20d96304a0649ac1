import { Chronicle } from './chronicle.ts';
import { Client } from './client.ts';
import { Cluster, type Mutation } from './cluster.ts';
import { Dice } from './dice.ts';
import { EveryRequestEnds } from './invariants/1-every-request-ends.ts';
import { NoMoneyAboveACap } from './invariants/2-no-money-above-a-cap.ts';
import { OneKeyOneExecution } from './invariants/3-one-key-one-execution.ts';
import { RetriesAreBounded } from './invariants/4-retries-are-bounded.ts';
import { TenantsAreApart } from './invariants/5-tenants-are-apart.ts';
import { NoTenantIsPushedAside } from './invariants/6-no-tenant-is-pushed-aside.ts';
import { OneOfTwo } from './invariants/7-one-of-two.ts';
import type { Checker, Violation } from './observation.ts';
import { drawScenario, type Scenario, type TenantPlan } from './scenario.ts';
import { type Counts, count, emptyCounts } from './tally.ts';
import { World } from './world.ts';

export interface Run {
	readonly seed: number;
	/** How often users want something; their clients may ask more than once for it. */
	readonly requests: number;
	/** Null: as many as the seed says. */
	readonly replicas: number | null;
	readonly mutation?: Mutation;
}

export interface Result {
	readonly seed: number;
	readonly events: number;
	readonly virtualMs: number;
	/** The same for every run of the same seed and size. */
	readonly digest: string;
	readonly counts: Counts;
	readonly violation: (Violation & { readonly event: number }) | null;
	/** The last lines of what happened. */
	readonly trail: readonly string[];
}

/** Lines of the trail that a result shows, beside those of the request that a violation is about. */
const TRAIL_LINES = 40;
/** After the last request everything must be over within so long. */
const REST_MS = 60_000;
const FLOOD = 20;

/** Runs one seed to its end, or to the first violation. */
export async function simulate({ seed, requests, replicas, mutation = {} }: Run): Promise<Result> {
	const scenario = drawScenario(seed, { requests, replicas });
	const world = new World(scenario.epochMs);
	const counts = emptyCounts();
	const cluster = new Cluster(scenario, world, mutation);
	const chronicle = new Chronicle(world);
	world.watch(checkersOf(scenario, world, cluster), (seen) => {
		count(counts, seen);
		chronicle.tell(seen);
	});
	await cluster.start();
	const load = new Load(scenario, world, cluster);
	load.start();
	await runToRest(world, { load, cluster, lastEpisodeMs: lastEpisodeOf(scenario) });
	cluster.dispose();
	const { violation } = world;
	return {
		seed,
		events: world.events,
		virtualMs: world.clock.monotonic(),
		digest: world.trail.digest,
		counts,
		violation: violation === null ? null : { ...violation, event: world.events },
		trail: world.trail.last(TRAIL_LINES, violation?.request ?? null),
	};
}

function checkersOf(
	{ rules, isCalm, tables, tenants, providers }: Scenario,
	world: World,
	cluster: Cluster,
): readonly Checker[] {
	const weightOf = (tenant: number) => tables[0]?.tenants[tenants[tenant]?.id ?? '']?.weight ?? 1;
	return [
		new EveryRequestEnds(world),
		new NoMoneyAboveACap(world, cluster),
		new OneKeyOneExecution(world, (upstream) => providers.some(({ name, acts }) => acts && name === upstream)),
		new RetriesAreBounded(world, rules.retries),
		new TenantsAreApart(world),
		new OneOfTwo(world),
		...(isCalm ? [new NoTenantIsPushedAside(world, weightOf)] : []),
	];
}

/** Event by event until nothing waits any more; a while later every reservation must have vanished too. */
async function runToRest(
	world: World,
	{ load, cluster, lastEpisodeMs }: { load: Load; cluster: Cluster; lastEpisodeMs: number },
): Promise<void> {
	const { clock } = world;
	const runUntil = async (isOver: () => boolean) => {
		while (clock.pending > 0 && world.violation === null && !isOver()) await world.step();
	};
	await runUntil(() => load.isOver);
	const overMs = Math.max(clock.monotonic(), lastEpisodeMs) + REST_MS;
	await runUntil(() => clock.monotonic() >= overMs);
	if (world.violation !== null) return;
	// What it waits for needs time, which moves only here.
	void cluster.close();
	await runUntil(() => clock.monotonic() >= overMs + REST_MS);
	if (world.violation !== null) return;
	clock.after(REST_MS, () => {});
	await world.step();
	await world.atRest();
}

function lastEpisodeOf({ link, providers, blows }: Scenario): number {
	const episodes = [...link.episodes, ...providers.flatMap((one) => one.episodes)];
	return Math.max(0, ...episodes.map(({ to }) => to), ...blows.map(({ at }) => at));
}

/** One tenant's people, and the draws that say when they want something. */
interface Caller {
	readonly plan: TenantPlan;
	readonly client: Client;
	readonly dice: Dice;
}

/** All clients, and when users want something. */
class Load {
	readonly #scenario: Scenario;
	readonly #world: World;
	readonly #clients: readonly Caller[];
	#wishes = 0;
	#requests = 0;

	constructor(scenario: Scenario, world: World, cluster: Cluster) {
		this.#scenario = scenario;
		this.#world = world;
		this.#clients = scenario.tenants.map((plan) => {
			const dice = new Dice(scenario.seed, `client ${plan.id}`);
			const client = new Client({
				world,
				dice,
				tenant: plan,
				replica: () => cluster.pick(dice),
				nextNumber: () => ++this.#requests,
				upstreams: scenario.providers.map(({ name }) => name),
			});
			return { plan, client, dice: new Dice(scenario.seed, `arrivals ${plan.id}`) };
		});
	}

	get isOver(): boolean {
		return this.#wishes >= this.#scenario.requests;
	}

	start(): void {
		for (const one of this.#clients) this.#next(one);
	}

	#next(one: Caller): void {
		const { plan, client, dice } = one;
		const now = this.#world.clock.monotonic();
		const floods = plan.flood !== null && now >= plan.flood.from && now < plan.flood.to;
		this.#world.clock.after(dice.exponential(floods ? plan.gapMs / FLOOD : plan.gapMs), () => {
			if (this.isOver) return;
			this.#wishes++;
			client.ask();
			this.#next(one);
		});
	}
}
