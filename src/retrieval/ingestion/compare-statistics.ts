import type { IngestionChecks } from '../../contracts/document-rules.ts';
import type { SourceStatistics, Statistics } from './statistics.ts';
import { compareHistograms } from './two-sample.ts';

/** What changed between two generations that should not go live unseen. */
export interface Shift {
	readonly source: string;
	/** E.g. `documents`, `languages` or `field product`. */
	readonly what: string;
	readonly message: string;
}

interface Sides {
	readonly before: SourceStatistics;
	readonly now: SourceStatistics;
}

/**
 * Compares what is in a new generation with what is live, source by source. A mix has shifted when the difference is both
 * larger than chance explains and large enough to matter; the level of the tests is divided among them (Bonferroni).
 * @param sameCut whether both were cut by the same chunker: else sizes say nothing.
 * @param declared sources of which somebody says of each document that it is gone: there is no drop.
 */
export function compareStatistics(
	before: Statistics,
	now: Statistics,
	{
		checks,
		sameCut,
		declared = new Set(),
	}: { checks: IngestionChecks; sameCut: boolean; declared?: ReadonlySet<string> },
): Shift[] {
	const sources = Object.entries(now.sources).flatMap(([source, counts]) => {
		const live = before.sources[source];
		return live ? [{ source, sides: { before: live, now: counts } }] : [];
	});
	const alpha = checks.shiftAlpha / Math.max(1, sources.length * 3);
	return sources.flatMap(({ source, sides }) =>
		[
			...(declared.has(source) ? [] : drops(sides, checks, sameCut)),
			...fieldLosses(sides, checks),
			...mixShifts(sides, { ...checks, shiftAlpha: alpha }),
			...(sameCut ? sizeShifts(sides, { ...checks, shiftAlpha: alpha }) : []),
			...duplicateRise(sides, checks),
		].map((shift) => ({ source, ...shift })),
	);
}

type Found = Omit<Shift, 'source'>;

function drops({ before, now }: Sides, checks: IngestionChecks, sameCut: boolean): Found[] {
	const drop = (what: 'documents' | 'chunks', max: number): Found[] => {
		const lost = before[what] - now[what];
		if (lost < checks.documentsMin || lost <= before[what] * max) return [];
		return [{ what, message: `${now[what]} ${what}, ${before[what]} are live (${what}_drop_max is ${max})` }];
	};
	return [...drop('documents', checks.documentsDropMax), ...(sameCut ? drop('chunks', checks.chunksDropMax) : [])];
}

/** By how much the share of documents that have a field fell; a field that nothing has any more is always one. */
function fieldLosses({ before, now }: Sides, { fieldFillDropMax, documentsMin }: IngestionChecks): Found[] {
	return Object.entries(before.fields).flatMap(([name, filled]) => {
		const left = now.fields[name];
		if (left === undefined || before.documents === 0 || now.documents === 0 || filled < documentsMin) return [];
		const [was, is] = [filled / before.documents, left / now.documents];
		if (left > 0 && (was - is <= fieldFillDropMax || was * now.documents - left < documentsMin)) return [];
		const message = `${percent(is)} of the documents have the field ${name}, ${percent(was)} of the live ones`;
		return [{ what: `field ${name}`, message: `${message} (field_fill_drop_max is ${fieldFillDropMax})` }];
	});
}

function mixShifts(sides: Sides, checks: IngestionChecks): Found[] {
	return (['types', 'languages'] as const).flatMap((what) => {
		const [before, now] = [sides.before[what], sides.now[what]];
		const values = [...new Set([...Object.keys(before), ...Object.keys(now)])].sort(
			(a, b) => (before[b] ?? 0) + (now[b] ?? 0) - (before[a] ?? 0) - (now[a] ?? 0) || (a < b ? -1 : 1),
		);
		const { distance, p } = compareHistograms(
			values.map((value) => before[value] ?? 0),
			values.map((value) => now[value] ?? 0),
		);
		if (distance < checks.shiftMin || p >= checks.shiftAlpha) return [];
		return [{ what, message: `${percent(distance)} of the ${what} shifted: ${largest(values, sides, what)}` }];
	});
}

function largest(values: readonly string[], { before, now }: Sides, what: 'types' | 'languages'): string {
	const share = (side: SourceStatistics, value: string) => (side[what][value] ?? 0) / Math.max(1, side.documents);
	const moves = values.map((value) => ({ value, was: share(before, value), is: share(now, value) }));
	moves.sort((a, b) => Math.abs(b.is - b.was) - Math.abs(a.is - a.was));
	return moves
		.slice(0, 3)
		.map(({ value, was, is }) => `${value} from ${percent(was)} to ${percent(is)}`)
		.join(', ');
}

/**
 * Chunks of one document are alike, so that there are fewer independent ones than there are chunks: at worst
 * (Σ m)² / Σ m² for documents of m chunks (Kish's effective size, all chunks of a document being equal).
 */
function sizeShifts({ before, now }: Sides, checks: IngestionChecks): Found[] {
	const independent = ({ chunks, chunk_squares: squares }: SourceStatistics) =>
		squares === 0 ? 0 : chunks ** 2 / squares;
	const { distance, p } = compareHistograms(before.sizes, now.sizes, [independent(before), independent(now)]);
	if (distance < checks.shiftMin || p >= checks.shiftAlpha) return [];
	const message = `the sizes of ${percent(distance)} of the chunks shifted: the median from ${median(before)} to ${median(now)} tokens`;
	return [{ what: 'sizes', message }];
}

function duplicateRise({ before, now }: Sides, { shiftMin, documentsMin }: IngestionChecks): Found[] {
	const share = ({ duplicates: { sampled, exact } }: SourceStatistics) => (sampled === 0 ? 0 : exact / sampled);
	const [was, is] = [share(before), share(now)];
	if (is - was < shiftMin || now.duplicates.exact < documentsMin) return [];
	return [
		{
			what: 'duplicates',
			message: `${percent(is)} of the documents have the text of another one, ${percent(was)} before`,
		},
	];
}

/** About: the middle of the half octave that holds it. */
function median({ sizes, chunks }: SourceStatistics): number {
	let below = 0;
	const bin = sizes.findIndex((count) => {
		below += count;
		return below * 2 >= chunks;
	});
	return Math.round(2 ** (bin / 2));
}

function percent(share: number): string {
	return `${(share * 100).toFixed(share < 0.1 ? 1 : 0)} %`;
}
