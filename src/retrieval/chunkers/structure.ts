import type { Block, DocumentText, Range } from '../document-text.ts';
import { packRows } from './rows.ts';
import { splitText } from './split-text.ts';
import { join, type Limits, mergeSmall, sectionsOf, tile, type Unit, unit } from './unit.ts';

interface StructureLimits extends Limits {
	/** Rows of a table stand in chunks of their own, at most so many in each; null: a table is a block like others. */
	readonly tables: { readonly rowsMax: number | null } | null;
}

/** Chunks of one section each, as large as they may be; code, tables and lists stay together where they fit. */
export function structureUnits(document: DocumentText, limits: StructureLimits): Unit[] {
	const { text } = document;
	const units: Unit[] = [];
	/** Units that may still be merged; rows of tables end them. */
	let run: Unit[] = [];
	const endRun = () => {
		units.push(...mergeSmall(text, run, limits));
		run = [];
	};
	for (const { path, tiles } of sectionsOf(document)) {
		let open = null as Unit | null;
		for (const [range, block] of tiles) {
			if (limits.tables && block.header) {
				if (open) run.push(open);
				open = null;
				endRun();
				units.push(...packRows(text, [range, block], { path, ...limits, rowsMax: limits.tables.rowsMax }));
				continue;
			}
			const after = open?.isHeading ? open : null;
			for (const next of explode(text, [range, block], { path, tokensMax: limits.tokensMax, after, context: '' })) {
				const joined: Unit | null = open && join(text, open, next, limits.tokensMax);
				if (open && !joined) run.push(open);
				open = joined ?? next;
			}
		}
		if (open) run.push(open);
	}
	endRun();
	return units;
}

interface ExplodeContext {
	readonly path: readonly string[];
	readonly tokensMax: number;
	/** The heading in front, while nothing has followed it. */
	readonly after: Unit | null;
	/** The header of the table that the block is a row of. */
	readonly context: string;
}

/** A block as units that fit: itself, else its parts, else pieces of its text. */
function explode(text: string, [range, block]: [Range, Block], given: ExplodeContext): Unit[] {
	const { path, tokensMax, after, context } = given;
	const whole = unit(text, range, { path, isHeading: block.kind === 'heading', context });
	if (whole.tokens <= tokensMax && !(after && block.kind === 'prose' && block.parts.length === 0)) return [whole];
	// Prose gives way so that its heading does not stand alone at the end of a chunk; code and tables stay whole.
	if (whole.tokens <= tokensMax && (!after || join(text, after, whole, tokensMax))) return [whole];
	if (block.parts.length > 0) {
		return tile(text, block.parts, range).flatMap((part) => {
			const below = block.header && part[0].start >= block.header.end;
			const header = below && block.header ? text.slice(block.header.start, block.header.end) : context;
			return explode(text, part, { path, tokensMax, after: null, context: header });
		});
	}
	const room = after && after.tokens <= tokensMax / 2 ? tokensMax - after.tokens - 4 : tokensMax;
	const kind = block.kind === 'lines' ? 'lines' : 'prose';
	return splitText(text, range, kind, Math.max(1, room)).map((piece) => unit(text, piece, { path, context }));
}
