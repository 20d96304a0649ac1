import type { GenerationRecord, PointerMove } from '../spec/generations.ts';

/** No request lives longer than this, so that none still reads a generation that was retired before. */
const IN_USE_MS = 660_000;

/**
 * Which of a collection's generations keep their rows: the live one; the newest `keep` of those that were live; what a
 * request may still read; what a run builds or can go on with; and what was refused since, as long as it can be promoted.
 * @param moves of the pointer, the latest first: they say which generation was live after which, whatever the clock did.
 */
export function isRetained(
	all: readonly GenerationRecord[],
	{ moves, keep, now }: { moves: readonly PointerMove[]; keep: number; now: number },
): (record: GenerationRecord) => boolean {
	const live = all.find(({ state }) => state === 'live');
	const retired = all.filter(({ state, removedAt }) => state === 'retired' && removedAt === null);
	const since = new Map<string, number>();
	for (const [ago, { to }] of moves.entries()) if (!since.has(to)) since.set(to, ago);
	const ago = ({ generation }: GenerationRecord) => since.get(generation) ?? moves.length;
	const newest = retired.toSorted((a, b) => ago(a) - ago(b) || b.sequence - a.sequence);
	const kept = new Set(newest.slice(0, keep));
	return (record) => {
		if (record.removedAt !== null) return false;
		switch (record.state) {
			case 'live':
			case 'building':
			case 'verifying':
			case 'failed':
				return true;
			case 'refused':
				return record.sequence > (live?.sequence ?? 0);
			case 'retired':
				// A clock that went back makes it look as if it were retired in the future: then it is kept, too.
				return kept.has(record) || now - (record.retiredAt ?? now) < IN_USE_MS;
		}
	};
}
