import type { Setback } from '../policy/failure-table.ts';
import { type ErrorCode, PlimsollError } from '../spec/errors.ts';
import type { UpstreamError } from '../spec/model.ts';

/** Why a generation's last try came to nothing. */
export interface Failing {
	readonly setback: Setback;
	readonly message: string;
	readonly error: UpstreamError | null;
	readonly retryAfterMs: number | null;
}

/** The error that a request ends with when nothing saved it. The provider's own reason is a part of it. */
export function failureError(
	code: ErrorCode,
	{
		upstream,
		last,
		waitMs,
		isBare,
	}: { upstream: string; last: Failing | null; waitMs: number | null; isBare: boolean },
): PlimsollError {
	const internal = last?.message ?? '';
	const cause = last?.error ?? undefined;
	const param = last?.error?.param ?? null;
	// The parameters of a feature are its contract's; those of a bare upstream its client's, who can leave them out.
	if (isBare && param !== null) {
		return new PlimsollError('parameter_unsupported', sentence(internal), { cause, param });
	}
	if (code === 'upstream_outcome_unknown')
		return new PlimsollError(code, unknownOutcome(upstream), { cause, internal });
	const wait = waitMs === null ? {} : { retryAfterMs: waitMs };
	return new PlimsollError(code, publicMessage(upstream, last), { cause, internal, ...wait });
}

function publicMessage(upstream: string, last: Failing | null): string {
	const message = last?.message ?? '';
	switch (last?.setback) {
		// Where an upstream stands is the operator's to know: the attempt in the trace keeps the whole message.
		case 'connect':
		case 'timeout_connect':
			return `${upstream} could not be reached; the trace says why.`;
		case 'authentication':
			return `${sentence(message)} Look at upstreams.${upstream}.api_key in plimsoll.yaml.`;
		case 'bad_request':
			return `${sentence(message)} Look at the parameters of the request, and at upstreams.${upstream}.model in plimsoll.yaml.`;
		default:
			return message;
	}
}

function sentence(message: string): string {
	return /[.!?…]$/.test(message) ? message : `${message}.`;
}

function unknownOutcome(upstream: string): string {
	return `${upstream} acts on the world and failed after it was asked; whether it acted is not known, so it was not asked again.`;
}
