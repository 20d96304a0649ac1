import type { Clock } from '../../src/base/clock.ts';
import { sha256 } from '../../src/base/hash.ts';
import { createIds } from '../../src/base/ids.ts';
import type { LimitTable } from '../../src/contracts/project.ts';
import type { Hedge } from '../../src/contracts/release.ts';
import { BearerAuthenticator } from '../../src/identity/authenticator.ts';
import { Keyring } from '../../src/identity/keyring.ts';
import type { Feature, Snapshot } from '../../src/runtime/feature.ts';
import { Idempotency } from '../../src/runtime/idempotency.ts';
import { Runtime } from '../../src/runtime/runtime.ts';
import { PlimsollError } from '../../src/spec/errors.ts';
import type { Guard } from '../../src/spec/guard.ts';
import type { IdempotencyStore } from '../../src/spec/idempotency.ts';
import type { Authenticator } from '../../src/spec/identity.ts';
import type { Model } from '../../src/spec/model.ts';
import type { Retriever } from '../../src/spec/retrieval.ts';
import type { SharedState } from '../../src/spec/shared-state.ts';
import type { TraceSink } from '../../src/spec/trace.ts';
import { feature, hit, IMAGES, keyRecord, NO_ALERTS, NO_FEEDBACK } from '../support/runtime-fixture.ts';
import type { Dice } from './dice.ts';
import { asking } from './observation.ts';
import type { ReplicaClock } from './replica-clock.ts';
import { COST_CAPS, type Rules } from './scenario.ts';
import type { World } from './world.ts';

/** The longest deadline of any feature, milliseconds. */
export const DEADLINE_MS_MAX = 8_000;

export interface ReplicaParts {
	readonly id: string;
	readonly world: World;
	readonly clock: ReplicaClock;
	readonly dice: Dice;
	readonly state: SharedState;
	readonly models: readonly Model[];
	readonly traces: TraceSink;
	readonly authenticator: Authenticator;
	readonly keys: IdempotencyStore;
	/** Names those who share the records of keys. */
	readonly keyScope: string;
	readonly rules: Rules;
}

/** One process: a real runtime with real parts, on a clock of its own. */
export class Replica {
	readonly id: string;
	readonly runtime: Runtime;
	readonly idempotency: Idempotency;
	readonly clock: ReplicaClock;
	readonly #parts: ReplicaParts;
	isAlive = true;

	constructor(parts: ReplicaParts, table: LimitTable) {
		const { clock, dice, models, state, traces, world } = parts;
		this.#parts = parts;
		this.id = parts.id;
		this.clock = clock;
		this.runtime = new Runtime(
			{
				clock,
				random: dice.random,
				newId: createIds(clock, dice.random),
				retriever: documents(clock, dice),
				embedders: { get: () => Promise.reject(new Error('no embedder')) },
				traces,
				authenticator: parts.authenticator,
				feedback: NO_FEEDBACK,
				sharedState: state,
				alerts: NO_ALERTS,
				onFault: (error) => world.observe({ kind: 'fault', what: 'storage', note: String(error) }),
				hashUser: (tenant, user) => sha256(`${tenant}/${user}`).slice(0, 16),
			},
			snapshotOf(models, table, parts.rules),
		);
		this.idempotency = new Idempotency({
			store: parts.keys,
			clock,
			retentionMs: 86_400_000,
			responseBytesMax: 1_000_000,
			onFailure: 'refuse',
			onFault: (error) => world.observe({ kind: 'fault', what: 'key_store', note: String(error) }),
			requestMsMax: () => DEADLINE_MS_MAX,
		});
	}

	get keyScope(): string {
		return this.#parts.keyScope;
	}

	/** An operator's edit of the limits arrives. */
	reload(table: LimitTable): void {
		this.runtime.replace(snapshotOf(this.#parts.models, table, this.#parts.rules));
	}

	/** A stop in good order, when no request runs any more. */
	close(): Promise<void> {
		return this.idempotency.close();
	}

	/** kill -9: nothing of it runs on. */
	crash(): void {
		this.isAlive = false;
		this.clock.stop();
	}
}

/** The real check of keys, with one key for each tenant. */
export function authenticatorOf(clock: Clock, tenants: readonly string[]): Authenticator {
	const keys = new Keyring(clock);
	keys.replace(tenants.map((tenantId, at) => keyRecord({ id: keyId(at), tenantId, name: 'web' })));
	return new BearerAuthenticator(keys, null);
}

function keyId(tenant: number): string {
	return String(tenant).repeat(12);
}

/** What a client of the tenant sends as `authorization`. */
export function authorizationOf(tenant: number): string {
	return `Bearer plim_${keyId(tenant)}_${'b'.repeat(52)}`;
}

function snapshotOf(models: readonly Model[], limits: LimitTable, rules: Rules): Snapshot {
	const { hedge, ...ofSnapshot } = rules;
	const features = featuresOf(models, hedge);
	return {
		features: new Map(features.map((one) => [one.release.contract.feature, one])),
		upstreams: new Map(models.map((model) => [model.upstream.name, model])),
		switchedOff: new Map(),
		embedders: new Map(),
		bare: { deadlineMs: 6_000, attemptsMax: 2, images: IMAGES },
		...ofSnapshot,
		limits,
		requestMsMax: DEADLINE_MS_MAX,
	};
}

/** Refuses an answer now and then, so that what follows a refusal runs too. */
const picky: Guard = {
	name: 'picky',
	check: (answer) => {
		const isFine = answer.length % 11 !== 0;
		return { guard: 'picky', verdict: isFine ? 'pass' : 'fail', reason: isFine ? null : 'its length' };
	},
};

/** Features with different promises: a route and retries, a cap on cost with a fixed answer, passages and guards, two calls at once. */
function featuresOf(models: readonly Model[], hedge: Hedge): readonly Feature[] {
	const [fast, dear, cheap] = models as [Model, Model, Model];
	const budget = { tokensOutMax: 60, deadlineMs: DEADLINE_MS_MAX };
	return [
		feature({ feature: 'plain', budget }, { route: [fast, cheap] }),
		feature(
			{
				feature: 'frugal',
				budget: { tokensOutMax: 30, deadlineMs: 2_000, costMicrosMax: COST_CAPS.frugal ?? null },
				onFailure: {
					upstream_timeout: { action: 'fall_back', answer: 'We are busy.' },
					budget_exceeded: { action: 'fall_back', answer: 'Not for this price.' },
				},
			},
			{ route: [cheap, fast] },
		),
		feature(
			{
				feature: 'grounded',
				stream: 'buffered',
				budget,
				retrieval: { collection: 'docs' },
				onFailure: { empty_retrieval: { action: 'degrade' }, invalid_output: { action: 'escalate' } },
			},
			{ route: [fast, cheap], escalateTo: dear, guards: [picky] },
		),
		feature(
			{
				feature: 'hedged',
				budget: { ...budget, costMicrosMax: COST_CAPS.hedged ?? null },
				models: { hedge, attemptsMax: 4 },
			},
			{ route: [fast, cheap] },
		),
	];
}

/** Documents of whoever asks; each names its tenant's secret. Now and then slow, empty or failing. */
function documents(clock: ReplicaClock, dice: Dice): Retriever {
	return {
		async search({ collection, k }) {
			const asked = asking.getStore();
			const { promise, resolve } = Promise.withResolvers<void>();
			clock.after(dice.chance(0.01) ? dice.between(1_000, 5_000) : dice.lognormal(5, 0.5), resolve);
			await promise;
			if (dice.chance(0.005)) throw new PlimsollError('retrieval_failed', 'The index failed, as simulated.');
			const count = dice.chance(0.02) ? 0 : Math.min(k, dice.whole(1, 3));
			const hits = Array.from({ length: count }, (_, at) => hit(at + 1, `Of secret${asked?.tenant}.`));
			const how = { mode: 'lexical', answered: 'lexical', lexicalMs: 1, vectorMs: null, degraded: null } as const;
			return { collection, generation: 'docs-g1', hits, ...how };
		},
		status: () => [],
	};
}
