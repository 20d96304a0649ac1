import type { Clock } from '../base/clock.ts';
import { decisiveOf } from '../policy/hedge.ts';
import { PlimsollError } from '../spec/errors.ts';
import type { AttemptResult } from './attempt.ts';
import { Race } from './race.ts';
import type { UpstreamCall, UpstreamCalls } from './upstream-call.ts';

/** The second of two attempts, allowed and paid for. */
export interface HedgeCall {
	readonly call: Omit<UpstreamCall, 'lane'>;
	/** Its place in the route. */
	readonly index: number;
}

export interface Hedging {
	readonly clock: Clock;
	readonly calls: UpstreamCalls;
	/** From when the first attempt is sent. */
	readonly afterMs: number;
	/** Null: there is to be no second attempt. */
	readonly begin: () => HedgeCall | null;
	readonly onFault: (error: unknown) => void;
}

interface Raced {
	/** What the request goes on with. */
	readonly result: AttemptResult;
	/** How the first attempt ended. */
	readonly first: AttemptResult;
	/** Null: none was made. */
	readonly hedge: HedgeCall | null;
	/** Whether the result is the second attempt's. */
	readonly isOfHedge: boolean;
}

/**
 * One attempt, and a second one beside it once the first has kept the client waiting for so long. The first that has
 * something for the client leads and the other is cancelled; while one runs, the failure of the other is no end. Resolves
 * when both are over and accounted for.
 */
export async function hedgedCall(call: Omit<UpstreamCall, 'lane'>, hedging: Hedging): Promise<Raced> {
	const race = new Race();
	let second: Promise<Second | null> | null = null;
	let stop = () => {};
	const lane = race.enter(() => {
		stop = hedging.clock.after(hedging.afterMs, () => {
			second = besides(race, hedging);
			// Heard below, once the first is over too.
			second.catch(() => {});
		});
	});
	let first: AttemptResult;
	let other: Second | null = null;
	try {
		first = await hedging.calls.make({ ...call, lane });
	} catch (error) {
		race.cancel();
		throw error;
	} finally {
		stop();
		other = await (second as Promise<Second | null> | null);
	}
	if (other === null) return { result: first, first, hedge: null, isOfHedge: false };
	const { result, hedge } = other;
	const isOfHedge = race.leader === null ? isDecidedByHedge(first, result) : race.leader !== lane;
	return { result: isOfHedge ? result : first, first, hedge, isOfHedge };
}

interface Second {
	readonly hedge: HedgeCall;
	readonly result: AttemptResult;
}

/** The second attempt; null when it was not made, which leaves the first as it is. */
async function besides(race: Race, hedging: Hedging): Promise<Second | null> {
	if (race.leader !== null) return null;
	const lane = race.enter();
	try {
		const hedge = hedging.begin();
		return hedge && { hedge, result: await hedging.calls.make({ ...hedge.call, lane }) };
	} catch (error) {
		if (race.leader === lane) throw error;
		// A limit that leaves no room for two calls, or the first one's answer while that was found out.
		if (!lane.lost && !(error instanceof PlimsollError)) hedging.onFault(error);
		return null;
	}
}

function isDecidedByHedge(first: AttemptResult, hedge: AttemptResult): boolean {
	return !first.ok && !hedge.ok && decisiveOf(first.error.kind, hedge.error.kind) === 'hedge';
}
