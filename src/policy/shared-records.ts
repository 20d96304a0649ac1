import { canonicalJson } from '../base/canonical-json.ts';
import type { KeyRecord } from '../spec/records.ts';
import type { SettingsRecord } from '../spec/tenants.ts';

/**
 * What two replicas know of one key, together. In whatever order and how often it is merged, the result is the same, and
 * what was revoked stays revoked; a rotation only ever shortens a life.
 */
export function mergeKeys(one: KeyRecord, other: KeyRecord): KeyRecord {
	const [base] = [one, other].sort((a, b) => compare(rightsOf(a), rightsOf(b)));
	return {
		...(base as KeyRecord),
		revokedAt: earlier(one.revokedAt, other.revokedAt),
		expiresAt: earlier(one.expiresAt, other.expiresAt),
		lastUsedAt: later(one.lastUsedAt, other.lastUsedAt),
	};
}

/**
 * The one of two changes that holds: the later version. Two changes of one version were made without knowing of each other;
 * of these the earlier holds, which its operator was told was done, and then whichever, so long as all choose the same.
 */
export function mergeSettings(one: SettingsRecord, other: SettingsRecord): SettingsRecord {
	if (one.version !== other.version) return one.version > other.version ? one : other;
	if (one.changedAt !== other.changedAt) return one.changedAt < other.changedAt ? one : other;
	return compare(canonicalJson(one), canonicalJson(other)) <= 0 ? one : other;
}

/** What never changes of a key. */
function rightsOf({ revokedAt: _, expiresAt: __, lastUsedAt: ___, ...rights }: KeyRecord): string {
	return canonicalJson(rights);
}

function earlier(one: number | null, other: number | null): number | null {
	return one === null || other === null ? (one ?? other) : Math.min(one, other);
}

function later(one: number | null, other: number | null): number | null {
	return one === null || other === null ? (one ?? other) : Math.max(one, other);
}

function compare(a: string, b: string): number {
	return a < b ? -1 : a > b ? 1 : 0;
}
