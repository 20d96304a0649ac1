import type { LimitTable } from '../../src/contracts/project.ts';
import type { Hedge } from '../../src/contracts/release.ts';
import type { Snapshot } from '../../src/runtime/feature.ts';
import type { Price } from '../../src/spec/model.ts';
import type { FailsafePolicy } from '../../src/stores/failsafe-state.ts';
import { flatPrice } from '../support/prices.ts';
import { BREAKER, RETRIES } from '../support/runtime-fixture.ts';
import { Dice } from './dice.ts';
import { drawLimits, scaleLimits, withoutLimits } from './limits-plan.ts';

/** How people call: what they do when it fails or takes long. The calm read at once, wait and never come again. */
export type Manner = 'calm' | 'patient' | 'sdk' | 'rude' | 'impatient';

export interface TenantPlan {
	readonly index: number;
	readonly id: string;
	/** Mean milliseconds between two of its requests. */
	readonly gapMs: number;
	/** When it sends twenty times as much; null: never. */
	readonly flood: Episode<'flood'> | null;
	readonly manner: Manner;
}

export interface Episode<Kind extends string> {
	readonly kind: Kind;
	readonly from: number;
	readonly to: number;
}

export const TROUBLES = ['outage', 'refusing', 'quota', 'silence', 'slow', 'cuts', 'no_usage'] as const;
export type Trouble = (typeof TROUBLES)[number];

export interface ProviderPlan {
	readonly name: string;
	readonly price: Price | null;
	/** It acts on the world: what it was asked once must not be asked again. */
	readonly acts: boolean;
	readonly medianMs: number;
	/** Share of calls that go wrong on a good day. */
	readonly mishaps: number;
	readonly episodes: readonly Episode<Trouble>[];
}

/** What befalls a process. */
export type Blow =
	| { readonly kind: 'crash'; readonly at: number; readonly downMs: number; readonly replica: number }
	| { readonly kind: 'clock_step'; readonly at: number; readonly skewMs: number; readonly replica: number }
	| { readonly kind: 'reload'; readonly at: number; readonly version: number; readonly replica: number };

export interface LinkPlan {
	/** Typical delay of one way to the shared state. */
	readonly delayMs: number;
	/** Share of operations whose connection breaks, before or after they were carried out. */
	readonly losses: number;
	/** `silent`: nothing arrives, and nobody is told for a while. `down`: no connection. For one replica, or for all (null). */
	readonly episodes: readonly (Episode<'silent' | 'down'> & { readonly replica: number | null })[];
}

/** What plimsoll.yaml says of the server, in the form in which a runtime reads it. */
export type Rules = Pick<Snapshot, 'admission' | 'retries' | 'breakers'> & {
	/** When the feature “hedged” asks somebody else beside who keeps it waiting. */
	readonly hedge: Hedge;
};

/** Everything that is decided before a run begins. */
export interface Scenario {
	readonly seed: number;
	readonly requests: number;
	readonly epochMs: number;
	readonly replicas: number;
	/** `shared`: counters behind a network; `in_process`: each replica its own, with costs on disk. */
	readonly counters: 'shared' | 'in_process';
	readonly policy: FailsafePolicy;
	readonly skewsMs: readonly number[];
	readonly rules: Rules;
	readonly tenants: readonly TenantPlan[];
	readonly providers: readonly ProviderPlan[];
	readonly tables: readonly LimitTable[];
	readonly blows: readonly Blow[];
	readonly link: LinkPlan;
	/** Nothing goes wrong: who waits, waits for other tenants. */
	readonly isCalm: boolean;
}

/** Replicas' clocks agree within this: what the manual asks of them. */
export const SKEW_MS_MAX = 1_000;

const UPSTREAMS = ['one/fast', 'two/dear', 'three/cheap'];
export const FEATURES = ['plain', 'frugal', 'grounded', 'hedged'] as const;

/** What a request of a feature may cost, micro-dollars. Of “hedged” it is enough for two calls, and not always for more. */
export const COST_CAPS: Readonly<Partial<Record<(typeof FEATURES)[number], number>>> = { frugal: 600, hedged: 700 };
const NOON = Date.UTC(2026, 10, 25, 12);
const MONTH_END = Date.UTC(2026, 11, 1);

export function drawScenario(seed: number, size: { requests: number; replicas: number | null }): Scenario {
	const dice = new Dice(seed, 'scenario');
	const scenario = drawTroubled(seed, size, dice);
	return dice.chance(0.15) ? calmed(scenario, dice) : scenario;
}

function drawTroubled(seed: number, size: { requests: number; replicas: number | null }, dice: Dice): Scenario {
	const replicas = size.replicas ?? dice.whole(1, 4);
	const tenantCount = dice.whole(3, 5);
	const perSecond = dice.between(8, 80);
	const spanMs = (size.requests / perSecond) * 1000;
	const tenants = Array.from(
		{ length: tenantCount },
		(_, index): TenantPlan => ({
			index,
			id: `tenant${index}`,
			gapMs: (tenantCount / perSecond) * 1000 * dice.between(0.5, 2),
			flood: index === 0 && dice.chance(0.5) ? episode(dice, 'flood', spanMs) : null,
			manner: dice.pick(['patient', 'sdk', 'sdk', 'rude', 'impatient']),
		}),
	);
	const first = drawLimits(dice, { tenants: tenants.map(({ id }) => id), features: FEATURES });
	return {
		seed,
		requests: size.requests,
		// Some runs stand across midnight, when a day and a month end.
		epochMs: dice.chance(0.3) ? MONTH_END - Math.floor(spanMs * dice.between(0.1, 0.9)) : NOON,
		replicas,
		counters: dice.chance(0.75) ? 'shared' : 'in_process',
		policy: {
			onFailure: dice.pick(['fail_open', 'fail_closed', 'local_share']),
			localShare: dice.pick([0.25, 0.5, 1 / replicas]),
			timeoutMs: dice.pick([5, 10, 25]),
		},
		skewsMs: Array.from({ length: replicas }, () => dice.between(-0.5, 0.5) * SKEW_MS_MAX),
		rules: drawRules(dice),
		tenants,
		providers: drawProviders(dice, spanMs),
		tables: [first, scaleLimits(first, dice.between(0.1, 0.6)), scaleLimits(first, dice.between(0.5, 1.5))],
		blows: drawBlows(dice, replicas, spanMs),
		link: drawLink(dice, replicas, spanMs),
		isCalm: false,
	};
}

/**
 * The same without faults and limits, but with few places and a tenant that wants all of them: what the others wait for
 * is then the flood alone.
 */
function calmed(scenario: Scenario, dice: Dice): Scenario {
	const table = withoutLimits(scenario.tables[0] as LimitTable);
	return {
		...scenario,
		replicas: Math.min(2, scenario.replicas),
		skewsMs: scenario.skewsMs.slice(0, 2),
		counters: 'in_process',
		tables: [table],
		blows: [],
		rules: {
			...scenario.rules,
			admission: {
				...scenario.rules.admission,
				concurrentRequestsMax: dice.whole(3, 8),
				adaptiveMin: null,
				queuedPerTenantMax: 64,
				queuedMax: 1_024,
			},
		},
		providers: scenario.providers.map((provider) => ({ ...provider, medianMs: 150, mishaps: 0, episodes: [] })),
		tenants: scenario.tenants.map((tenant) => ({
			...tenant,
			manner: 'calm',
			// The others want less than their part of the places, whatever their weights.
			gapMs: tenant.index === 0 ? 200 : 800,
			flood: tenant.index === 0 ? { kind: 'flood', from: 0, to: Number.MAX_SAFE_INTEGER } : null,
		})),
		isCalm: true,
	};
}

function drawRules(dice: Dice): Rules {
	const concurrentRequestsMax = dice.pick([8, 40, 1_000]);
	const breaker = dice.chance(0.7) ? { ...BREAKER, probeIntervalMs: dice.pick([500, 5_000]), slowMs: 2_000 } : null;
	return {
		admission: {
			concurrentRequestsMax,
			adaptiveMin: dice.pick([null, Math.ceil(concurrentRequestsMax / 4)]),
			queuedPerTenantMax: dice.pick([0, 8, 64]),
			queuedMax: dice.pick([16, 1_024]),
			bufferedBytesMax: 64_000_000,
		},
		retries: {
			...RETRIES,
			ratio: dice.pick([0, 0.1, 0.3]),
			floor: dice.pick([0, 3, 10]),
			tenantFloor: dice.pick([1, 10]),
		},
		breakers: new Map(UPSTREAMS.map((upstream) => [upstream, breaker])),
		hedge: dice.pick([{ afterMs: 60 }, { afterMs: 400 }, { afterQuantile: 0.8, samplesMin: 10 }]),
	};
}

function episode<Kind extends string>(dice: Dice, kind: Kind, spanMs: number): Episode<Kind> {
	const from = dice.between(0, spanMs);
	return { kind, from, to: from + dice.between(0.02, 0.3) * spanMs };
}

function drawProviders(dice: Dice, spanMs: number): readonly ProviderPlan[] {
	const prices: readonly (Price | null)[] = [
		flatPrice('v1', 1_000_000, 4_000_000, 500_000),
		null,
		flatPrice('v1', 150_000, 600_000, 75_000),
	];
	return UPSTREAMS.map((name, at) => ({
		name,
		price: prices[at] ?? null,
		acts: name === 'two/dear' && dice.chance(0.8),
		medianMs: dice.between(40, 600),
		mishaps: dice.pick([0, 0.01, 0.05]),
		episodes: Array.from({ length: dice.whole(0, 3) }, () => episode(dice, dice.pick(TROUBLES), spanMs)),
	}));
}

function drawBlows(dice: Dice, replicas: number, spanMs: number): readonly Blow[] {
	const at = () => dice.between(0.05, 1) * spanMs;
	const replica = () => dice.whole(0, replicas - 1);
	const many = <T>(most: number, draw: () => T): T[] => Array.from({ length: dice.whole(0, most) }, draw);
	const reloads = many(2, () => ({ at: at(), version: dice.whole(1, 2) })).flatMap((reload) =>
		// Every replica reads the edit by itself, a little earlier or later.
		Array.from(
			{ length: replicas },
			(_, n): Blow => ({
				kind: 'reload',
				version: reload.version,
				at: reload.at + dice.between(0, 500),
				replica: n,
			}),
		),
	);
	return [
		...many(3, (): Blow => ({ kind: 'crash', at: at(), downMs: dice.between(10, 3_000), replica: replica() })),
		...many(
			2,
			(): Blow => ({
				kind: 'clock_step',
				at: at(),
				skewMs: dice.between(-0.5, 0.5) * SKEW_MS_MAX,
				replica: replica(),
			}),
		),
		...reloads,
	];
}

function drawLink(dice: Dice, replicas: number, spanMs: number): LinkPlan {
	const count = dice.whole(0, 3);
	return {
		delayMs: dice.pick([0.1, 0.5, 2]),
		losses: dice.pick([0, 0, 0.002, 0.02]),
		episodes: Array.from({ length: count }, () => ({
			...episode(dice, dice.pick(['silent', 'down'] as const), spanMs),
			replica: dice.chance(0.5) ? null : dice.whole(0, replicas - 1),
		})),
	};
}
