/**
 * The instant before which no version is needed; null when none of those to keep is there. A clock that went back between
 * two writes gives the later version the earlier time, so that it is the least of their times that counts.
 */
export function oldestOf(
	versions: readonly { readonly version: number; readonly timestamp: Date }[],
	keep: readonly number[],
): Date | null {
	const kept = versions.filter(({ version }) => keep.includes(version)).map(({ timestamp }) => timestamp);
	return kept.reduce<Date | null>((least, at) => (least === null || at < least ? at : least), null);
}
