import { organisationOf } from '../policy/limits.ts';
import type { LimitName, Standing } from '../spec/shared-state.ts';

/** OpenAI's and Anthropic's names for the two limits that they have. */
const NAMED: readonly (readonly [LimitName, string])[] = [
	['requests_per_minute', 'requests'],
	['tokens_per_minute', 'tokens'],
];

/** Policies of the IETF fields (draft-ietf-httpapi-ratelimit-headers). Money stays out of headers. */
const POLICIES: readonly { readonly limit: LimitName; readonly policy: string; readonly parameters: string }[] = [
	{ limit: 'requests_per_minute', policy: 'requests', parameters: ';w=60' },
	{ limit: 'tokens_per_minute', policy: 'tokens', parameters: ';w=60;qu="tokens"' },
	{ limit: 'concurrent_requests', policy: 'concurrent', parameters: ';qu="concurrent-requests"' },
];

/**
 * How the limits over a request stand, under the names that its client knows: of several scopes the one with the least left. Nothing where nothing is limited.
 * An organisation's are left out, since what is left of them tells what its other tenants use.
 */
export function limitHeaders(
	standings: readonly Standing[],
	{ dialect, nowMs }: { readonly dialect: 'anthropic' | undefined; readonly nowMs: number },
): Record<string, string> {
	const headers: Record<string, string> = {};
	for (const [limit, unit] of NAMED) {
		const tightest = tightestOf(standings, limit);
		if (tightest === null) continue;
		const { max, resetMs } = tightest;
		const [prefix, name] = dialect === undefined ? ['x-ratelimit-', `-${unit}`] : [`anthropic-ratelimit-${unit}-`, ''];
		headers[`${prefix}limit${name}`] = String(max);
		headers[`${prefix}remaining${name}`] = String(leftOf(tightest));
		// Anthropic says when, and OpenAI in how long.
		headers[`${prefix}reset${name}`] =
			dialect === undefined ? `${(resetMs / 1000).toFixed(3)}s` : new Date(nowMs + resetMs).toISOString();
	}
	const rows = POLICIES.flatMap((row) => {
		const tightest = tightestOf(standings, row.limit);
		return tightest === null ? [] : [{ ...row, tightest }];
	});
	if (rows.length === 0) return headers;
	headers['ratelimit-policy'] = rows
		.map(({ policy, parameters, tightest }) => `"${policy}";q=${tightest.max}${parameters}`)
		.join(', ');
	headers.ratelimit = rows
		.map(({ policy, limit, tightest }) => {
			// A place becomes free when a request ends, which no clock knows.
			const reset = limit === 'concurrent_requests' ? '' : `;t=${Math.ceil(tightest.resetMs / 1000)}`;
			return `"${policy}";r=${leftOf(tightest)}${reset}`;
		})
		.join(', ');
	return headers;
}

function leftOf({ max, used }: Standing): number {
	return Math.max(0, max - used);
}

function tightestOf(standings: readonly Standing[], limit: LimitName): Standing | null {
	let tightest: Standing | null = null;
	for (const standing of standings) {
		if (standing.limit !== limit || organisationOf(standing.scope) !== null) continue;
		if (tightest === null || leftOf(standing) < leftOf(tightest)) tightest = standing;
	}
	return tightest;
}
