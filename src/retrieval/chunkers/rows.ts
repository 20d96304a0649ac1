import type { Block, Range } from '../document-text.ts';
import { splitText } from './split-text.ts';
import { join, tile, type Unit, unit } from './unit.ts';

interface RowLimits {
	readonly path: readonly string[];
	readonly tokensMax: number;
	/** Null: as many as fit. */
	readonly rowsMax: number | null;
}

/** The rows of one table, whole where they fit. Each chunk but the first has the table's header as its context. */
export function packRows(text: string, [range, block]: [Range, Block], limits: RowLimits): Unit[] {
	const { path, tokensMax } = limits;
	const header = block.header ?? { start: range.start, end: range.start };
	const context = text.slice(header.start, header.end);
	const units: Unit[] = [];
	let open = null as Unit | null;
	let rows = 0;
	for (const [row] of tile(text, block.parts, range)) {
		const isRow = row.start >= header.end;
		for (const piece of splitText(text, row, 'lines', tokensMax)) {
			const next = unit(text, piece, { path, context: isRow ? context : '' });
			const joined: Unit | null =
				open && rows < (limits.rowsMax ?? Infinity) ? join(text, open, next, tokensMax) : null;
			if (open && !joined) units.push(open);
			rows = (joined ? rows : 0) + (isRow ? 1 : 0);
			open = joined ?? next;
		}
	}
	if (open) units.push(open);
	return units;
}
