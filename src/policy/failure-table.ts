import type { FailureSituation } from '../contracts/release.ts';
import type { ErrorCode } from '../spec/errors.ts';
import type { UpstreamFailure } from '../spec/model.ts';
import type { Verdict } from './breaker.ts';

/** What stands between a request and its answer: an attempt that failed, or an upstream that must not be asked at all. */
export type Setback = UpstreamFailure | 'breaker_open' | 'quota_open';

/**
 * Who of the upstreams behind this one may be asked instead. `larger`: one with a larger context, since the same prompt
 * would not fit again. `other_vendor`: one of another provider if the route has one, since an account is used up as a whole.
 */
export type Successor = 'any' | 'larger' | 'other_vendor' | 'none';

/** What a setback means, and what may follow it. The contract's policy for its situation chooses among that. */
interface Meaning {
	/** Null: no policy may answer for it. */
	readonly situation: FailureSituation | null;
	/** The error if nothing saves the request. */
	readonly code: ErrorCode;
	/** Whether the same upstream may be asked once more. */
	readonly again: boolean;
	readonly next: Successor;
	/** What it says about the upstream's health. */
	readonly verdict: Verdict;
	/** The upstream may have begun to do what it was asked to, for all that the failure tells. */
	readonly uncertain: boolean;
	/** The provider began to work on the call, and so may bill it: refusals and failed connections cost nothing. */
	readonly billed: boolean;
}

const OUTAGE = {
	situation: 'upstream_outage',
	code: 'upstream_unavailable',
	again: true,
	next: 'any',
	verdict: 'failed',
	uncertain: true,
	billed: false,
} as const satisfies Meaning;

const SILENCE = { ...OUTAGE, situation: 'upstream_timeout', code: 'upstream_timeout', billed: true } as const;
const BROKEN = { ...OUTAGE, situation: 'stream_broken', code: 'upstream_stream_cut', billed: true } as const;
const LIMIT = {
	...OUTAGE,
	situation: 'upstream_quota',
	code: 'upstream_rate_limited',
	verdict: 'refused',
	uncertain: false,
} as const;
const REFUSAL = {
	situation: null,
	code: 'upstream_rejected',
	again: false,
	next: 'none',
	verdict: 'answered',
	uncertain: false,
	billed: false,
} as const satisfies Meaning;

/** From every normalised failure to what may follow it: the one table that decides, and the manual's. */
export const FAILURES: Readonly<Record<Setback, Meaning>> = {
	connect: OUTAGE,
	timeout_connect: { ...SILENCE, billed: false },
	server_error: OUTAGE,
	nonsense: { ...OUTAGE, code: 'upstream_nonsense' },
	// What a model writes says nothing about whether its server is well, and was paid for.
	broken_call: { ...OUTAGE, code: 'upstream_nonsense', verdict: 'answered', billed: true },
	timeout_first_token: SILENCE,
	timeout_total: SILENCE,
	timeout_idle: { ...BROKEN, code: 'upstream_timeout' },
	cut: BROKEN,
	rate_limited: LIMIT,
	quota: { ...LIMIT, again: false, next: 'other_vendor' },
	// The prompt fits by our count but not by the provider's: never sent again unchanged, only to a larger context.
	context_length: {
		...REFUSAL,
		situation: 'budget_exceeded',
		code: 'budget_tokens_in_exceeded',
		next: 'larger',
	},
	bad_request: REFUSAL,
	authentication: REFUSAL,
	// What was refused is never routed around.
	content_filter: { ...REFUSAL, code: 'upstream_content_filtered' },
	cancelled: { ...REFUSAL, code: 'client_closed', verdict: 'nothing', billed: true },
	breaker_open: { ...OUTAGE, again: false, uncertain: false },
	quota_open: { ...LIMIT, again: false },
};

/** What a successor is chosen by. */
interface Seat {
	readonly provider: string;
	readonly contextTokensMax: number;
}

/** The place in the route of who may be asked after `current` failed; null: nobody. */
export function successorOf(
	failure: Setback,
	current: Seat,
	route: { readonly seats: readonly Seat[]; readonly index: number },
): number | null {
	const first = route.index + 1;
	const find = (fits: (seat: Seat) => boolean) => {
		const found = route.seats.findIndex((seat, place) => place >= first && fits(seat));
		return found === -1 ? null : found;
	};
	const any = first < route.seats.length ? first : null;
	switch (FAILURES[failure].next) {
		case 'any':
			return any;
		case 'larger':
			return find((seat) => seat.contextTokensMax > current.contextTokensMax);
		case 'other_vendor':
			// Another upstream of the same provider may have an account of its own.
			return find((seat) => seat.provider !== current.provider) ?? any;
		case 'none':
			return null;
	}
}
