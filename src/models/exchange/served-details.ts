import type { ResponseHeaders } from './failure.ts';

/** The limits that a provider reports in its headers, under the names that it gives them, and where it answered from. */
const TOLD = /^(?:(?:x-|anthropic-)?ratelimit-|x-ms-region$)/;

/** What of a response's headers is worth a line in the trace; null: nothing. */
export function detailsOf(headers: ResponseHeaders): Record<string, string> | null {
	let details: Record<string, string> | null = null;
	for (const name in headers) {
		const value = headers[name];
		if (typeof value !== 'string' || !TOLD.test(name)) continue;
		details ??= {};
		details[name === 'x-ms-region' ? 'region' : name] = value;
	}
	return details;
}
