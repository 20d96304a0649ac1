import { z } from 'zod';
import { metaOf } from '../document-meta.ts';
import { CONTENT_TYPES, type DocumentFormat, type SourceItem } from '../source-item.ts';

const idSchema = z.union([z.string().min(1).max(1_024), z.number().transform(String), z.bigint().transform(String)]);

interface RecordShape {
	/** What a named value is called where the record comes from: `field`, `column`. */
	readonly what: string;
	readonly id: string;
	readonly text: string;
	readonly title: string | null;
	readonly format: DocumentFormat;
}

/** A flat record of a file or a database as a document; what is neither id, text nor title is a field. `place` names it where it has no id. */
export function recordItem(record: Readonly<Record<string, unknown>>, shape: RecordShape, place: string): SourceItem {
	const { what, format } = shape;
	const failed = (reason: string, document = place): SourceItem => ({ failed: { document, reason } });
	const id = idSchema.safeParse(record[shape.id]);
	if (!id.success) return failed(`the ${what} ${shape.id} is not an id (text of 1 to 1,024 characters, or a number)`);
	const body = record[shape.text];
	if (typeof body !== 'string') return failed(`the ${what} ${shape.text} is not text`, id.data);
	const title = shape.title === null ? null : record[shape.title];
	const fields = Object.entries(record).filter(([name]) => name !== shape.id && name !== shape.text);
	const meta = metaOf(Object.fromEntries(fields), { contentType: CONTENT_TYPES[format] });
	const named = typeof title === 'string' && title ? title : id.data;
	return { document: { id: id.data, format, bytes: Buffer.from(body), title: named, meta } };
}
