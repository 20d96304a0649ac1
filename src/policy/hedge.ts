import type { Hedge } from '../contracts/release.ts';
import type { UpstreamFailure } from '../spec/model.ts';
import { FAILURES } from './failure-table.ts';

/** Shortest time in which a second attempt is worth its price, milliseconds. */
const HEDGE_MS_MIN = 20;

/**
 * How long the first attempt is alone, milliseconds; null: for as long as it takes, since too few answers are known.
 * @param recent how long the upstream's latest answers took, in any order.
 */
export function hedgeDelayMs(hedge: Hedge, recent: readonly number[]): number | null {
	if ('afterMs' in hedge) return hedge.afterMs;
	if (recent.length < hedge.samplesMin) return null;
	const sorted = [...recent].sort((a, b) => a - b);
	// Nearest rank: as large a share of the answers took no longer. Those that always take as long are not slow.
	const usualMs = sorted[Math.ceil(hedge.afterQuantile * sorted.length) - 1];
	return usualMs === undefined ? null : Math.floor(usualMs) + 1;
}

/** An upstream of the route, as far as a second attempt is concerned. */
interface HedgeSeat {
	readonly name: string;
	readonly sideEffects: boolean;
	/** Its breaker lets everyone through: a probe is not to be cancelled half-way. */
	readonly isClosed: boolean;
}

/** The place in the route of who is asked beside the upstream at `index`; null: nobody may be. */
export function hedgePlace(moment: {
	readonly seats: readonly HedgeSeat[];
	readonly index: number;
	readonly attempts: number;
	readonly attemptsMax: number;
	/** Whether an upstream with side effects got the request: then no other may. */
	readonly mayHaveActed: boolean;
	readonly remainingMs: number;
}): number | null {
	const { seats, index } = moment;
	const first = seats[index];
	if (!first || first.sideEffects || moment.mayHaveActed) return null;
	if (moment.attempts >= moment.attemptsMax || moment.remainingMs < HEDGE_MS_MIN) return null;
	const next = seats.findIndex(({ name, isClosed }, place) => place > index && name !== first.name && isClosed);
	// Who acts on the world is not stepped over either: the route's order is the operator's.
	return next === -1 || seats[next]?.sideEffects ? null : next;
}

/** Whether a failure settles the request while the other attempt still runs: what was refused is not routed around. */
export function endsRace(failure: UpstreamFailure): boolean {
	return failure === 'content_filter' || failure === 'cancelled';
}

/** Which of two failed attempts decides what follows: one after which nothing may, else the one further on in the route. */
export function decisiveOf(first: UpstreamFailure, hedge: UpstreamFailure): 'first' | 'hedge' {
	return FAILURES[first].next === 'none' && FAILURES[hedge].next !== 'none' ? 'first' : 'hedge';
}
