import type { Table } from '@lancedb/lancedb';
import { DataType, type RecordBatch, type Vector } from 'apache-arrow';
import type { ChunkSummary, DocumentSummary, IndexedDocument } from '../../spec/index-store.ts';
import type { FieldValue } from '../../spec/retrieval.ts';
import { fieldColumns, fieldOf, fieldValue, flagColumns } from './rows.ts';

const DOCUMENT_COLUMNS = ['source', 'document_id', 'content_hash'];

/** Every document of a table once, in batches: each has one first chunk. */
export async function* documentsOf(table: Table): AsyncGenerator<IndexedDocument[]> {
	for await (const batch of table.query().where('ordinal = 0').select(DOCUMENT_COLUMNS)) {
		const document = documentIn(batch);
		yield Array.from({ length: batch.numRows }, (_, at) => document(at));
	}
}

/** Every chunk of a table once, in batches. Column by column: a row object for each chunk would be most of what a scan costs. */
export async function* summariesOf(table: Table): AsyncGenerator<ChunkSummary[]> {
	const schema = await table.schema();
	const flags = flagColumns(schema);
	const stored = fieldColumns(schema);
	const names = stored.map(fieldOf);
	for await (const batch of table.query().select([...DOCUMENT_COLUMNS, 'ordinal', 'tokens', ...stored])) {
		const document = documentIn(batch);
		const source = textIn(batch, 'source');
		const ordinals = numberIn(batch, 'ordinal');
		const tokens = numberIn(batch, 'tokens');
		const byName = new Map(
			stored.map((name) => [fieldOf(name), { column: batch.getChild(name), isFlag: flags.has(name) }]),
		);
		const columns = { names, byName };
		yield Array.from({ length: batch.numRows }, (_, at): ChunkSummary => {
			const ordinal = ordinals(at);
			const chunk = { ordinal, tokens: tokens(at) };
			if (ordinal > 0) return { source: source(at), ...chunk, document: null };
			const first = new StoredDocument(document(at), { at, columns });
			return { source: first.source, ...chunk, document: first };
		});
	}
}

interface FieldColumns {
	readonly names: readonly string[];
	readonly byName: ReadonlyMap<string, { readonly column: Vector | null; readonly isFlag: boolean }>;
}

/** Reads a field when it is asked for: most are only asked whether they are there. */
class StoredDocument implements DocumentSummary {
	readonly source: string;
	readonly documentId: string;
	readonly contentHash: string;
	readonly #columns: FieldColumns;
	readonly #at: number;

	constructor(
		{ source, documentId, contentHash }: IndexedDocument,
		{ at, columns }: { at: number; columns: FieldColumns },
	) {
		this.source = source;
		this.documentId = documentId;
		this.contentHash = contentHash;
		this.#columns = columns;
		this.#at = at;
	}

	get names(): readonly string[] {
		return this.#columns.names;
	}

	has(name: string): boolean {
		return this.#columns.byName.get(name)?.column?.isValid(this.#at) ?? false;
	}

	field(name: string): FieldValue {
		const { column = null, isFlag = false } = this.#columns.byName.get(name) ?? {};
		if (column && isEmptyList(column, this.#at)) return [];
		return fieldValue(column?.get(this.#at) ?? null, isFlag);
	}
}

/** Most labels are none, and a list that is made costs as much as all else that is told of a document. */
function isEmptyList(column: Vector, at: number): boolean {
	const [data] = column.data;
	if (!data || !DataType.isList(column.type) || !data.getValid(at)) return false;
	return data.valueOffsets[at] === data.valueOffsets[at + 1];
}

function documentIn(batch: RecordBatch): (at: number) => IndexedDocument {
	const [source, documentId, contentHash] = [
		textIn(batch, 'source'),
		textIn(batch, 'document_id'),
		textIn(batch, 'content_hash'),
	];
	return (at) => ({ source: source(at), documentId: documentId(at), contentHash: contentHash(at) });
}

/** A column of texts by the number of the row. Throws when the table holds something else. */
function textIn(batch: RecordBatch, name: string): (at: number) => string {
	const column = batch.getChild(name);
	if (!DataType.isUtf8(column?.type)) throw new TypeError(`the index table has no texts in ${name}`);
	return (at) => {
		const value: unknown = column?.get(at);
		if (typeof value !== 'string') throw new TypeError(`the index table has a row without ${name}`);
		return value;
	};
}

function numberIn(batch: RecordBatch, name: string): (at: number) => number {
	const column = batch.getChild(name);
	return (at) => {
		const value: unknown = column?.get(at);
		if (typeof value !== 'number') throw new TypeError(`the index table has a row without ${name}`);
		return value;
	};
}
