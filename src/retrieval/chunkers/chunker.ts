import { sha256Of } from '../../base/hash.ts';
import type { ChunkerConfig } from '../../contracts/collection.ts';
import type { DocumentText, Range } from '../document-text.ts';
import { codeUnits } from './code.ts';
import { splitText } from './split-text.ts';
import { structureUnits } from './structure.ts';
import { type Unit, unit } from './unit.ts';
import { sentenceUnits, tokenUnits } from './windows.ts';

/** Raise a chunker's when it cuts otherwise: collections that use it are then built anew. */
const REVISIONS = { structure: 3, sentences: 1, tokens: 1, rows: 1, code: 1, whole: 2 } as const;

/** Raise it when a reader gives other text or blocks for a document: every collection is then built anew. */
const READER_REVISION = 1;

export interface Chunk extends Range {
	readonly text: string;
	/** Headings above the chunk, outermost first; its own heading included when it begins with one. */
	readonly headingPath: readonly string[];
	/** What stands elsewhere in the document and belongs to it: the header of its table. Not a part of what is cited. */
	readonly context: string;
	/** 0-based. */
	readonly ordinal: number;
	readonly tokens: number;
}

/**
 * Cuts a document into chunks of at most `tokensMax` tokens (o200k_base), in order; everything but white space is in a
 * chunk, and in exactly one where the chunker has no overlap. `rows` and `code` cut what is neither table nor code by structure.
 */
export function chunkDocument(document: DocumentText, config: ChunkerConfig): Chunk[] {
	const { text } = document;
	return unitsOf(document, config).map(({ start, end, path, context, tokens }, ordinal) => ({
		start,
		end,
		text: text.slice(start, end),
		headingPath: path,
		context,
		ordinal,
		tokens,
	}));
}

function unitsOf(document: DocumentText, config: ChunkerConfig): Unit[] {
	switch (config.kind) {
		case 'sentences':
			return sentenceUnits(document, config);
		case 'tokens':
			return tokenUnits(document, config);
		case 'rows':
			return structureUnits(document, { ...config, tables: { rowsMax: config.rowsMax } });
		case 'code':
			if (document.syntax) return codeUnits(document, document.syntax, config);
			return structureUnits(document, { ...config, tables: null });
		case 'structure':
			return structureUnits(document, { ...config, tables: null });
		case 'whole': {
			const { text, bodyStart } = document;
			const range = { start: bodyStart, end: text.length };
			return splitText(text, range, 'prose', config.tokensMax).map((piece) => unit(text, piece));
		}
	}
}

/**
 * A chunk's id depends on its source, its document and its words (and how often they came before), not on its place: an
 * edit at the top of a page leaves the ids of the chunks below it, and what cites or caches them, as they are.
 */
export function chunkIds(source: string, documentId: string, chunks: readonly Chunk[]): string[] {
	const seen = new Map<string, number>();
	return chunks.map(({ text }) => {
		const occurrence = seen.get(text) ?? 0;
		seen.set(text, occurrence + 1);
		return `chk_${sha256Of([source, documentId, text, String(occurrence)]).slice(0, 24)}`;
	});
}

/** Everything that decides which chunks a document gives, and what is searched for them. */
export function chunkerIdentity({ kind, tokensMax, tokensMin, overlapTokens, rowsMax, header }: ChunkerConfig) {
	const merges = kind !== 'whole' && kind !== 'tokens';
	const overlaps = kind === 'sentences' || kind === 'tokens';
	return {
		kind,
		tokensMax,
		tokensMin: merges ? tokensMin : 0,
		overlapTokens: overlaps ? overlapTokens : 0,
		rowsMax: kind === 'rows' ? rowsMax : null,
		header: { template: header.template, tokensMax: header.tokensMax },
		tokenizer: 'o200k_base' as const,
		revision: REVISIONS[kind],
		reader: READER_REVISION,
	};
}
