import type { CollectionConfig } from '../../contracts/collection.ts';
import { fieldTypes } from '../../contracts/document-rules.ts';
import type { FieldType } from '../../spec/retrieval.ts';
import { SKETCH_FIELD } from './sketch.ts';

/** The fields of a collection's table, Plimsoll's own included. */
export function tableFields({ ingestion }: CollectionConfig): ReadonlyMap<string, FieldType> {
	return new Map([...fieldTypes(ingestion), [SKETCH_FIELD, 'text']]);
}
