import type { Clock } from '../base/clock.ts';
import type { LimitSet, LimitTable, TenantLimits } from '../contracts/project.ts';
import { organisationOf, organisationScope } from '../policy/limits.ts';
import { PlimsollError } from '../spec/errors.ts';
import type { Caller } from '../spec/identity.ts';
import type { Claim, LimitName, Refusal, Reservation, SharedState, Standing, Ticket } from '../spec/shared-state.ts';

/** Where a step says in the trace what the limits said to it. */
interface StepNotes {
	readonly detail: Record<string, string | number | boolean | null>;
}

/** What a call to an upstream uses, or may use at most. */
export interface CallAmounts {
	readonly tokens: number;
	readonly costMicros: number;
}

export interface LimitParts {
	readonly state: SharedState;
	readonly clock: Clock;
	readonly table: LimitTable;
	/** The longest that a request may run, milliseconds. */
	readonly requestMsMax: number;
}

/** Who asks, as far as limits are concerned. */
type LimitedCaller = Pick<Caller, 'tenantId' | 'keyId' | 'keyName'>;

/** A reservation outlives its deadline by so much before it counts as forgotten: late settlements, clocks apart. */
const EXPIRY_GRACE_MS = 10_000;

const NOTHING: CallAmounts = { tokens: 0, costMicros: 0 };

/** The limits over one request: what it holds of them, and how they stood when it last looked. */
export class RequestLimits {
	readonly #parts: LimitParts;
	readonly #caller: LimitedCaller;
	readonly #tenant: TenantLimits;
	/** Every limit over this request, in the order of its scopes. */
	#rules: { readonly scope: string; readonly limits: LimitSet }[];
	/** Leases, given back when the request ends. */
	readonly #leases: Ticket[] = [];
	readonly #standings = new Map<string, Standing>();
	#left = false;

	constructor(parts: LimitParts, caller: LimitedCaller) {
		const { tenants, standard } = parts.table;
		this.#parts = parts;
		this.#caller = caller;
		this.#tenant = Object.hasOwn(tenants, caller.tenantId) ? (tenants[caller.tenantId] as TenantLimits) : standard;
		this.#rules = [
			...organisationRules(parts.table, this.#tenant),
			{ scope: 'tenant', limits: this.#tenant.tenant },
			...keyRules(this.#tenant, caller),
		];
	}

	/** How the limits over this request stand, as far as it has asked. */
	get standings(): readonly Standing[] {
		return [...this.#standings.values()];
	}

	/** Of the tenant as a whole, against others in the queue. */
	get weight(): number {
		return this.#tenant.weight;
	}

	/** Whether `plimsoll.yaml` holds the key to batch work. */
	get isBatchKey(): boolean {
		const { keyId, keyName } = this.#caller;
		return this.#tenant.batchKeys.some((name) => name === keyId || name === keyName);
	}

	/** The most requests that the tenant may have running at once; null: nothing of its own. */
	get tenantPlacesMax(): number | null {
		return this.#tenant.tenant.find(({ limit }) => limit === 'concurrent_requests')?.max ?? null;
	}

	/** admit: one request of the organisation, the tenant and the key. Throws `rate_limited`. */
	enter(notes: StepNotes): Promise<unknown> | null {
		return this.#count(this.#rules, notes);
	}

	/** assign: one request of the feature and the user, once they are known. */
	assigned(target: { feature: string | null; userHash: string | null }, notes: StepNotes): Promise<unknown> | null {
		const { feature, userHash } = target;
		const { features, eachUser } = this.#tenant;
		const more = [
			...(feature !== null && Object.hasOwn(features, feature)
				? [{ scope: `feature:${feature}`, limits: features[feature] as LimitSet }]
				: []),
			...(userHash === null ? [] : [{ scope: `user:${userHash}`, limits: eachUser }]),
		];
		if (more.length === 0) return null;
		this.#rules = [...this.#rules, ...more];
		return this.#count(more, notes);
	}

	/** Scopes that limit how many requests run at once. */
	get placeScopes(): readonly string[] {
		const limited = this.#rules.filter(({ limits }) => limits.some(({ limit }) => limit === 'concurrent_requests'));
		return limited.map(({ scope }) => scope);
	}

	/**
	 * assign: a place in every scope, until the request ends, or the refusal of the scope that has none free. Throws
	 * `request_above_limit` where there never is one.
	 */
	async takePlaces(notes: StepNotes): Promise<Refusal | null> {
		const claims = claimsOf(
			this.#rules,
			(limit) => limit === 'concurrent_requests',
			() => 1,
		);
		if (claims.length === 0) return null;
		const reservation = await this.#ask(claims, this.#parts.requestMsMax, notes);
		if (!reservation.granted) {
			if (reservation.refusal.waitMs === null) throw this.refused(reservation.refusal);
			return reservation.refusal;
		}
		// A request that ended while it asked has nobody left to give the place back.
		if (this.#left) await this.#parts.state.release(reservation.ticket, this.#parts.clock.now());
		else this.#leases.push(reservation.ticket);
		return null;
	}

	/** The error for a refusal that nobody waits out. */
	refused(refusal: Refusal): PlimsollError {
		return refused(refusal, this.#caller.tenantId);
	}

	/** Whether calls are counted at all: if not, nothing needs to be measured for them. */
	get limitsCalls(): boolean {
		return this.#rules.some(({ limits }) => limits.some(({ limit }) => isOfCalls(limit)));
	}

	/**
	 * generate: reserves the most that a call can use, in every scope. Null when nothing limits calls. Throws
	 * `rate_limited`, `budget_exhausted` or `request_above_limit`.
	 */
	async reserveCall(most: CallAmounts, remainingMs: number, notes: StepNotes): Promise<Ticket | null> {
		const claims = claimsOf(this.#rules, isOfCalls, (limit) => amountOf(limit, most));
		return this.#reserve(claims, remainingMs, notes);
	}

	/** Puts what a call used in place of what was reserved for it; nothing when it was not made. */
	async settleCall(ticket: Ticket | null, used: CallAmounts | null): Promise<void> {
		if (ticket === null) return;
		const { state, clock } = this.#parts;
		const actual = ticket.claims.map(({ limit }) => amountOf(limit, used ?? NOTHING));
		this.#note(
			used === null ? await state.release(ticket, clock.now()) : await state.settle(ticket, actual, clock.now()),
		);
	}

	/** Gives the request's places back; null when it holds none. Only the first call counts. */
	leave(): Promise<void> | null {
		this.#left = true;
		return this.#leases.length === 0 ? null : this.#giveBack(this.#leases.splice(0));
	}

	async #giveBack(leases: readonly Ticket[]): Promise<void> {
		const { state, clock } = this.#parts;
		const given = leases.map((ticket) => state.release(ticket, clock.now()));
		for (const standings of await Promise.all(given)) this.#note(standings);
	}

	/**
	 * A request that was counted stays counted. Tokens are asked for with nothing, so that any answer can say how many are
	 * left. Null when nothing is limited, which most requests should not wait to hear.
	 */
	#count(rules: readonly { scope: string; limits: LimitSet }[], notes: StepNotes): Promise<unknown> | null {
		const claims = claimsOf(rules, isOfRequests, (limit) => (limit === 'tokens_per_minute' ? 0 : 1));
		return claims.length === 0 ? null : this.#reserve(claims, this.#parts.requestMsMax, notes);
	}

	async #reserve(claims: readonly Claim[], msMax: number, notes: StepNotes): Promise<Ticket | null> {
		if (claims.length === 0) return null;
		const reservation = await this.#ask(claims, msMax, notes);
		if (reservation.granted) return reservation.ticket;
		const { scope, limit } = reservation.refusal.claim;
		notes.detail.refused_scope = scope;
		notes.detail.refused_limit = limit;
		throw this.refused(reservation.refusal);
	}

	async #ask(claims: readonly Claim[], msMax: number, notes: StepNotes): Promise<Reservation> {
		const { state, clock } = this.#parts;
		const now = clock.now();
		const { tenantId } = this.#caller;
		const expiresAt = now + msMax + EXPIRY_GRACE_MS;
		const reservation = await state.reserve({ tenantId, claims, now, expiresAt });
		this.#note(reservation.standings);
		const health = state.health();
		if (health.backend === 'redis') {
			const isShared = reservation.granted ? reservation.ticket.heldBy === 'shared' : health.status === 'up';
			notes.detail.limits = isShared ? 'redis' : health.onFailure;
		}
		return reservation;
	}

	#note(standings: readonly Standing[]): void {
		for (const standing of standings) this.#standings.set(`${standing.scope} ${standing.limit}`, standing);
	}
}

function organisationRules(
	{ organisations }: LimitTable,
	{ organisation }: TenantLimits,
): { scope: string; limits: LimitSet }[] {
	if (organisation === null || !Object.hasOwn(organisations, organisation)) return [];
	return [{ scope: organisationScope(organisation), limits: organisations[organisation] as LimitSet }];
}

function keyRules({ keys }: TenantLimits, { keyId, keyName }: LimitedCaller): { scope: string; limits: LimitSet }[] {
	const limits = [keyId, keyName].find((name) => name !== null && Object.hasOwn(keys, name)) ?? null;
	return limits === null ? [] : [{ scope: `key:${keyId}`, limits: keys[limits] as LimitSet }];
}

function claimsOf(
	rules: readonly { scope: string; limits: LimitSet }[],
	isWanted: (limit: LimitName) => boolean,
	amount: (limit: LimitName) => number,
): readonly Claim[] {
	const claims: Claim[] = [];
	for (const { scope, limits } of rules) {
		for (const { limit, max } of limits) if (isWanted(limit)) claims.push({ scope, limit, max, amount: amount(limit) });
	}
	return claims;
}

function isOfRequests(limit: LimitName): boolean {
	return limit === 'requests_per_minute' || limit === 'tokens_per_minute';
}

function isOfCalls(limit: LimitName): boolean {
	return limit === 'tokens_per_minute' || limit === 'cost_usd_per_day' || limit === 'cost_usd_per_month';
}

function amountOf(limit: LimitName, { tokens, costMicros }: CallAmounts): number {
	switch (limit) {
		case 'tokens_per_minute':
			return tokens;
		case 'cost_usd_per_day':
		case 'cost_usd_per_month':
			return costMicros;
		default:
			return 0;
	}
}

const WORDS: Readonly<Record<LimitName, (amount: number) => string>> = {
	requests_per_minute: (amount) => `${amount} requests a minute`,
	tokens_per_minute: (amount) => `${amount} tokens a minute`,
	concurrent_requests: (amount) => `${amount} requests at once`,
	cost_usd_per_day: (amount) => `$${(amount / 1_000_000).toFixed(6)} a day`,
	cost_usd_per_month: (amount) => `$${(amount / 1_000_000).toFixed(6)} a month`,
};

function refused({ claim, used, waitMs }: Refusal, tenantId: string): PlimsollError {
	const { scope, limit, max, amount } = claim;
	const whose = scopeWords(scope, tenantId);
	const say = WORDS[limit];
	if (waitMs === null) {
		return new PlimsollError(
			'request_above_limit',
			`The request may use ${say(amount)}; ${limit} of ${whose} allows ${say(max)}.`,
		);
	}
	const isCost = limit === 'cost_usd_per_day' || limit === 'cost_usd_per_month';
	const code = isCost ? 'budget_exhausted' : 'rate_limited';
	const retryAfterMs = Math.max(1, Math.ceil(waitMs));
	// What the other tenants of the organisation use is none of this one's business.
	if (organisationOf(scope) !== null) {
		const message = `${limit} of ${whose} allows ${say(max)}, and what is left of it does not cover this request.`;
		return new PlimsollError(code, message, { retryAfterMs });
	}
	const need = amount === 1 ? '' : ` and this call may need ${say(amount)}`;
	return new PlimsollError(code, `${limit} of ${whose} allows ${say(max)}; ${say(used)} are used or reserved${need}.`, {
		retryAfterMs,
	});
}

function scopeWords(scope: string, tenantId: string): string {
	if (scope === 'tenant') return `the tenant ${tenantId}`;
	// A user is known by a hash only, which means nothing to whoever reads this.
	if (scope.startsWith('user:')) return 'this user';
	return `the ${scope.replace(':', ' ')}`;
}
