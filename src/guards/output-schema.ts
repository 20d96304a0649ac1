import { CompiledSchema } from '../base/json-schema/compile-schema.ts';
import { SchemaError } from '../base/json-schema/resources.ts';
import type { SchemaComplaint } from '../base/json-schema/run.ts';
import type { SchemaReading } from '../contracts/release.ts';
import { SCHEMA_FORMATS } from '../contracts/schema-formats.ts';
import { PlimsollError } from '../spec/errors.ts';

const ERRORS_SHOWN = 3;
const POINTER_CHARS_MAX = 120;

type Schema = Readonly<Record<string, unknown>>;

/**
 * Compiles a JSON Schema (2020-12) into a check of answers: null when the answer is JSON that satisfies it, else why not. The
 * reason names places of the answer by JSON pointer and holds no other text of it.
 * Throws PlimsollError `configuration_invalid` when the schema cannot be compiled.
 */
export function compileOutputSchema(schema: Schema, reading: SchemaReading): (answer: string) => string | null {
	const compiled = compiledSchema(schema, reading);
	return (answer) => {
		let value: unknown;
		try {
			value = JSON.parse(answer.trim());
		} catch {
			// The parser's own message quotes the answer.
			return 'the answer is not JSON';
		}
		try {
			const complaints = compiled.complaints(value);
			return complaints && describeComplaints(complaints);
		} catch (error) {
			return describeTrouble(error);
		}
	};
}

/** Why a check came to no end. */
export function describeTrouble(error: unknown): string {
	const why =
		error instanceof RangeError ? 'it is nested too deeply, or too much to look at' : 'the schema failed on it';
	return `the answer could not be checked: ${why}`;
}

/** Throws PlimsollError `configuration_invalid` for a schema that cannot be compiled. */
export function compiledSchema(schema: Schema, { uri, documents, formats }: SchemaReading): CompiledSchema {
	const options = { uri, documents: new Map(Object.entries(documents)), formats: SCHEMA_FORMATS };
	try {
		return new CompiledSchema(schema, { ...options, assertsFormats: formats === 'assertion' });
	} catch (error) {
		if (!(error instanceof SchemaError)) throw error;
		const message = `guards.output_schema is not a valid JSON Schema (2020-12): ${error.message}`;
		throw new PlimsollError('configuration_invalid', message, { cause: error });
	}
}

/** @param within JSON pointer of the value that was judged. */
export function describeComplaints(complaints: readonly SchemaComplaint[], within = ''): string {
	const shown = complaints.slice(0, ERRORS_SHOWN).map(({ instancePath, message }) => {
		const place = within + instancePath;
		const pointer = place.length > POINTER_CHARS_MAX ? `${place.slice(0, POINTER_CHARS_MAX)}…` : place || 'the whole';
		return `${pointer} ${message}`;
	});
	return `the answer does not satisfy the schema: ${shown.join('; ')}`;
}
