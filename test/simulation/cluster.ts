import type { LimitTable } from '../../src/contracts/project.ts';
import type { IdempotencyStore } from '../../src/spec/idempotency.ts';
import type { Authenticator } from '../../src/spec/identity.ts';
import type { Model } from '../../src/spec/model.ts';
import type { SharedState } from '../../src/spec/shared-state.ts';
import type { TraceSink } from '../../src/spec/trace.ts';
import { BoundedIdempotency } from '../../src/stores/bounded-idempotency.ts';
import { FailsafeState } from '../../src/stores/failsafe-state.ts';
import { MemoryState } from '../../src/stores/memory-state.ts';
import { Dice } from './dice.ts';
import { Disk } from './disk.ts';
import { KeyFile, ObservedKeys, OwnKeys, SharedKeys } from './keys.ts';
import type { Account } from './ledger.ts';
import { capOf } from './limits-plan.ts';
import { Link, SHARED } from './link.ts';
import { asking } from './observation.ts';
import { CountedState, HeldState } from './observed-state.ts';
import { Provider, ProviderModel } from './provider.ts';
import { authenticatorOf, DEADLINE_MS_MAX, Replica } from './replica.ts';
import { ReplicaClock } from './replica-clock.ts';
import type { Blow, Scenario } from './scenario.ts';
import { SILENT_MS_MAX, Wire } from './wire.ts';
import type { World } from './world.ts';

/** Puts a bug between real parts, to see that the checkers notice it. */
export interface Mutation {
	/** Around the counters themselves. */
	readonly counters?: (state: SharedState) => SharedState;
	/** Between the runtime and its counters. */
	readonly state?: (state: SharedState) => SharedState;
	readonly model?: (model: Model) => Model;
	readonly keys?: (store: IdempotencyStore) => IdempotencyStore;
	readonly traces?: (sink: TraceSink) => TraceSink;
	readonly authenticator?: (authenticator: Authenticator) => Authenticator;
}

/** Where one process runs, and another after it. */
interface Place {
	readonly index: number;
	readonly disk: Disk;
	readonly keyFile: KeyFile;
	/** Null while none runs. */
	replica: Replica | null;
	starts: number;
	/** The limits that were read here, with when: a request keeps those that it began with. */
	readonly tables: { readonly table: LimitTable; readonly from: number }[];
}

/** All processes of a run, the counters that they share, and what befalls them. */
export class Cluster {
	readonly #scenario: Scenario;
	readonly #mutation: Mutation;
	readonly #world: World;
	readonly #providers: readonly Provider[];
	readonly #server: CountedState;
	readonly #sharedKeys = new KeyFile();
	readonly #places: readonly Place[];

	constructor(scenario: Scenario, world: World, mutation: Mutation) {
		this.#scenario = scenario;
		this.#world = world;
		this.#mutation = mutation;
		this.#providers = scenario.providers.map((plan) => new Provider(world, plan, this.#dice(plan.name)));
		this.#server = this.#counted(new MemoryState(), { counters: SHARED, replica: 'nobody' });
		this.#places = scenario.skewsMs.map((_, index) => ({
			index,
			keyFile: new KeyFile(),
			disk: new Disk(world, this.#dice(`disk ${index}`)),
			replica: null,
			starts: 0,
			tables: [{ table: scenario.tables[0] as LimitTable, from: Number.NEGATIVE_INFINITY }],
		}));
	}

	/** Starts every process and arranges what will befall them. */
	async start(): Promise<void> {
		for (const place of this.#places) await this.#start(place);
		for (const blow of this.#scenario.blows) this.#world.clock.after(blow.at, () => this.#strike(blow));
	}

	/** A process that is up, as a load balancer picks one; null: none is. */
	pick(dice: Dice): Replica | null {
		const up = this.#places.flatMap(({ replica }) => replica ?? []);
		return up.length === 0 ? null : dice.pick(up);
	}

	/** Every process stops in good order. */
	async close(): Promise<void> {
		await Promise.all(this.#places.map(({ replica }) => replica?.close()));
	}

	/** Nothing of the run is needed any more. */
	dispose(): void {
		this.#sharedKeys.close();
		for (const { keyFile } of this.#places) keyFile.close();
	}

	/** What files have said, lately enough to be in force, that a set of counters may hold; null: no limit. */
	capOf(counters: string, account: Account): number | null {
		const [kind, name = ''] = counters.split('/');
		const places = kind === SHARED ? this.#places : this.#places.filter(({ index }) => name.startsWith(`p${index}`));
		const caps = places.flatMap((place) => this.#inForce(place)).map((table) => capOf(table, account.tenant, account));
		if (caps.includes(null)) return null;
		const cap = Math.max(...caps.map(Number));
		return kind === 'share' ? Math.floor(cap * this.#scenario.policy.localShare) : cap;
	}

	/** What the shared counters still hold reserved for these accounts. */
	async reservedOf(accounts: readonly Account[]): Promise<readonly number[]> {
		const now = this.#world.clock.now();
		const usages = accounts.map((account) => this.#server.usage(account.tenant, [account], now));
		return (await Promise.all(usages)).map(([usage]) => usage?.reserved ?? 0);
	}

	/** A request that began under a table may still ask at its deadline, and what it asks be as late as a wire allows. */
	#inForce({ tables }: Place): readonly LimitTable[] {
		const since = this.#world.clock.monotonic() - DEADLINE_MS_MAX - SILENT_MS_MAX - 1_000;
		return tables
			.filter((_, at) => (tables[at + 1]?.from ?? Number.POSITIVE_INFINITY) > since)
			.map(({ table }) => table);
	}

	async #start(place: Place): Promise<void> {
		const { tenants, rules, seed } = this.#scenario;
		const id = `p${place.index}.${++place.starts}`;
		const world = this.#world;
		const clock = new ReplicaClock(world.clock, this.#scenario.skewsMs[place.index] ?? 0);
		const dice = this.#dice(id);
		const sink = tracesOf(world);
		const keys = authenticatorOf(
			clock,
			tenants.map((tenant) => tenant.id),
		);
		const wire = new Wire({ world, clock, plan: this.#scenario.link, replica: { id, index: place.index }, dice });
		const held = new HeldState(await this.#stateOf(place, { id, clock, wire }), world, id);
		const keyScope = this.#scenario.counters === 'in_process' ? `p${place.index}` : SHARED;
		const keyStore = new ObservedKeys(this.#keysOf(place, { clock, wire, dice }), world, keyScope);
		const replica = new Replica(
			{
				id,
				world,
				clock,
				dice: new Dice(seed, `${id} inside`),
				state: this.#mutation.state?.(held) ?? held,
				models: this.#providers.map((provider) => {
					const model = new ProviderModel(provider, { clock, id });
					return this.#mutation.model?.(model) ?? model;
				}),
				traces: this.#mutation.traces?.(sink) ?? sink,
				keys: keyStore,
				keyScope,
				authenticator: this.#mutation.authenticator?.(keys) ?? keys,
				rules,
			},
			(place.tables.at(-1) as Place['tables'][number]).table,
		);
		place.replica = replica;
		world.say(`${id} starts, its clock ${clock.skewMs.toFixed(0)} ms off`);
	}

	async #stateOf(
		place: Place,
		{ id, clock, wire }: { id: string; clock: ReplicaClock; wire: Wire },
	): Promise<SharedState> {
		const { counters, policy } = this.#scenario;
		if (counters === 'in_process') {
			const own = await MemoryState.open(place.disk.store(clock), clock.now());
			return this.#counted(own, { counters: ownCounters(place), replica: id });
		}
		const shared = new Link(wire, this.#server, { world: this.#world, replica: id });
		const local = this.#counted(new MemoryState(), { counters: `share/${id}`, replica: id });
		return new FailsafeState({ shared, local, clock, policy });
	}

	#keysOf(place: Place, { clock, wire, dice }: { clock: ReplicaClock; wire: Wire; dice: Dice }): IdempotencyStore {
		const isOwn = this.#scenario.counters === 'in_process';
		const store = isOwn
			? new OwnKeys(place.keyFile, { world: this.#world, clock, dice })
			: new BoundedIdempotency({
					store: new SharedKeys(this.#sharedKeys, wire),
					clock,
					timeoutMs: this.#scenario.policy.timeoutMs,
				});
		return this.#mutation.keys?.(store) ?? store;
	}

	#strike(blow: Blow): void {
		const place = this.#places[blow.replica] as Place;
		this.#world.observe({ kind: 'fault', what: blow.kind, note: `p${place.index}` });
		switch (blow.kind) {
			case 'crash':
				this.#crash(place, blow.downMs);
				return;
			case 'clock_step':
				if (place.replica) place.replica.clock.skewMs = blow.skewMs;
				return;
			case 'reload': {
				const table = this.#scenario.tables[blow.version] as LimitTable;
				place.tables.push({ table, from: this.#world.clock.monotonic() });
				place.replica?.reload(table);
			}
		}
	}

	#crash(place: Place, downMs: number): void {
		const { replica } = place;
		if (replica === null) return;
		place.replica = null;
		replica.crash();
		for (const provider of this.#providers) provider.abandon(replica.id);
		const counters = this.#scenario.counters === 'in_process' ? ownCounters(place) : null;
		this.#world.observe({ kind: 'crashed', replica: replica.id, counters });
		this.#world.clock.after(downMs, () => void this.#start(place));
	}

	#counted(state: SharedState, where: { counters: string; replica: string }): CountedState {
		return new CountedState(this.#mutation.counters?.(state) ?? state, this.#world, where);
	}

	#dice(purpose: string): Dice {
		return new Dice(this.#scenario.seed, purpose);
	}
}

/** Counters of a place, which outlive its processes as far as they are on disk. */
function ownCounters({ index }: Place): string {
	return `own/p${index}`;
}

function tracesOf(world: World): TraceSink {
	return {
		record(trace) {
			const request = asking.getStore();
			if (request === undefined) throw new Error('a trace of no request');
			world.observe({ kind: 'traced', request, trace });
		},
		dropped: 0,
		flush: async () => {},
	};
}
