import type { TableShape } from '../../spec/index-store.ts';
import type { FieldType, FieldValue } from '../../spec/retrieval.ts';
import { storable } from './storable.ts';

const TYPES: Readonly<Record<FieldType, string>> = {
	text: 'text',
	number: 'double precision',
	time: 'double precision',
	boolean: 'boolean',
	labels: 'text[]',
};

interface Column {
	readonly field: string;
	/** Short, whatever the field is called: PostgreSQL cuts names at 63 bytes. */
	readonly column: string;
	readonly type: string;
}

/** The declared fields of a table as columns. */
export class Columns {
	readonly list: readonly Column[];
	readonly #byField: ReadonlyMap<string, Column>;

	constructor(fields: TableShape['fields']) {
		this.list = [...fields].map(([field, type], at) => ({ field, column: `field_${at}`, type: TYPES[type] }));
		this.#byField = new Map(this.list.map((column) => [column.field, column]));
	}

	of(field: string): Column {
		const column = this.#byField.get(field);
		if (column === undefined) throw new RangeError(`the index has no field ${field}`);
		return column;
	}

	/** Their names, each after a comma. */
	get names(): string {
		return this.list.map(({ column }) => `, ${column}`).join('');
	}

	/** Their definitions, each after a comma. */
	get definitions(): string {
		return this.list.map(({ column, type }) => `, ${column} ${type}`).join('');
	}

	toStored(fields: Readonly<Record<string, FieldValue>>): Record<string, unknown> {
		return Object.fromEntries(
			this.list.map(({ field, column }) => {
				const value = fields[field] ?? null;
				return [column, Array.isArray(value) ? value.map(storable) : storable(value)];
			}),
		);
	}
}
