import { z } from 'zod';
import type { FieldValue, Passage } from '../spec/retrieval.ts';

/** What both engines call alike in a stored passage, to be extended by the rest. */
export const passageRow = z.looseObject({
	chunk_id: z.string(),
	source: z.string(),
	document_id: z.string(),
	title: z.string(),
	/** JSON: a list of texts. */
	heading_path: z.string(),
	body: z.string(),
	text_at: z.number(),
	ordinal: z.number(),
	tokens: z.number(),
});

const pathSchema = z.array(z.string());

/** Throws when the heading path is something else than a list of texts. */
export function passageOf(
	row: z.infer<typeof passageRow>,
	rest: Pick<Passage, 'start' | 'end'> & { readonly fields: Readonly<Record<string, FieldValue>> },
): Passage {
	return {
		chunkId: row.chunk_id,
		documentId: row.document_id,
		source: row.source,
		title: row.title,
		headingPath: pathSchema.parse(JSON.parse(row.heading_path)),
		text: row.body.slice(row.text_at),
		ordinal: row.ordinal,
		tokens: row.tokens,
		...rest,
	};
}
