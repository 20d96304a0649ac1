import { InvalidArgumentError } from 'commander';
import { systemClock } from '../base/clock.ts';

const UNIT_MS: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** Milliseconds of a time such as `24h`; seconds, minutes, hours or days. */
export function duration(text: string): number {
	const ms = spanMs(text);
	if (ms === null) throw new InvalidArgumentError('It must be a time such as 24h, 30m, 7d or 0s.');
	return ms;
}

/** The instant of a time from now such as `90d`, or of an ISO date (midnight UTC) or date and time, as ISO 8601. */
export function expiry(text: string): string {
	const span = spanMs(text);
	const at = span === null ? instantOf(text) : systemClock.now() + span;
	// Years beyond 9999 have another form, which no reader expects.
	if (at !== null && at < Date.UTC(10_000, 0)) return new Date(at).toISOString();
	throw new InvalidArgumentError('It must be a time from now such as 90d, or a date such as 2027-01-31.');
}

export function isPast(iso: string): boolean {
	return Date.parse(iso) <= systemClock.now();
}

/** `2026-11-23 14:05` */
export function day(iso: string): string {
	return iso.slice(0, 16).replace('T', ' ');
}

function spanMs(text: string): number | null {
	const [, count, unit] = /^(\d{1,6})([smhd])$/.exec(text) ?? [];
	return count === undefined ? null : Number(count) * (UNIT_MS[unit ?? ''] ?? Number.NaN);
}

function instantOf(text: string): number | null {
	if (!/^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d))?$/.test(text)) return null;
	const at = Date.parse(text);
	// Date.parse takes 31 February for 3 March.
	return Number.isNaN(at) || !isRealDay(text.slice(0, 10)) ? null : at;
}

function isRealDay(date: string): boolean {
	const at = Date.parse(date);
	return !Number.isNaN(at) && new Date(at).toISOString().startsWith(date);
}
