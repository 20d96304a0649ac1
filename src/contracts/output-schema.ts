import { Ajv2020 } from 'ajv/dist/2020.js';
import { CompiledSchema } from '../base/json-schema/compile-schema.ts';
import { VOCABULARIES } from '../base/json-schema/keywords.ts';
import { DRAFT_2020_12, SchemaError } from '../base/json-schema/resources.ts';
import { isMapping } from '../base/mapping.ts';
import type { Checked, Problem } from '../spec/problem.ts';
import type { SchemaReading } from './release.ts';
import { SCHEMA_FORMATS } from './schema-formats.ts';
import { schemaFaults } from './schema-limits.ts';
import { accepted, fileProblem, refused, type SourceFile } from './source-file.ts';
import { fieldName } from './validation.ts';
import { type FieldPath, parseYaml } from './yaml-document.ts';

type Schema = Readonly<Record<string, unknown>>;

export interface OutputSchema {
	readonly schema: Schema;
	readonly reading: SchemaReading;
}

/** What schemas may refer to, by address, beside themselves. */
export type SchemaDocuments = ReadonlyMap<string, unknown>;

/** The files of a feature's `schemas/`, by the addresses under which they refer to each other. */
export function schemaDocuments(files: ReadonlyMap<string, SourceFile>): SchemaDocuments {
	const documents = new Map<string, unknown>();
	for (const [path, { text }] of files) {
		try {
			documents.set(addressOf(path), JSON.parse(text));
		} catch {
			// The file's own check says what is wrong with it.
		}
	}
	return documents;
}

/** Parses one file of `schemas/` as a JSON Schema (2020-12) that compiles, beside the documents that it may refer to. */
export function checkOutputSchema(
	source: SourceFile,
	how: { path: string; documents: SchemaDocuments; formats: SchemaReading['formats'] },
): Checked<OutputSchema> {
	let schema: unknown;
	try {
		schema = JSON.parse(source.text);
	} catch (error) {
		const [message = '', line, column] =
			/^(.*?)(?: at position \d+)?(?: \(line (\d+) column (\d+)\))?$/s.exec(String(error))?.slice(1) ?? [];
		const at = line ? { line: Number(line), column: Number(column) } : { line: 1, column: 1 };
		return refused({
			...fileProblem(source.file, `is not valid JSON: ${message.replace(/^SyntaxError: /, '')}`),
			...at,
		});
	}
	if (!isMapping(schema)) {
		return refused({
			...fileProblem(source.file, 'is not a JSON object'),
			line: 1,
			column: 1,
			expected: 'a JSON Schema',
		});
	}
	const { standard, metaProblems } = metaSchema();
	const malformed = metaProblems(schema).map(([path, message]) =>
		at(source, path, `is not valid JSON Schema: ${message}`),
	);
	if (malformed.length > 0) return refused(...malformed);
	const { formats } = how;
	const uri = addressOf(how.path);
	const documents = new Map([...standard, ...how.documents]);
	const options = { uri, documents, formats: SCHEMA_FORMATS, assertsFormats: formats === 'assertion' };
	const faults = schemaFaults(schema, options);
	if (faults.length > 0)
		return refused(...faults.map(({ path, message, hint }) => ({ ...at(source, path, message), hint })));
	try {
		const { used } = new CompiledSchema(schema, options).resources;
		return accepted({ schema, reading: { uri, documents: Object.fromEntries(used), formats } });
	} catch (error) {
		if (!(error instanceof SchemaError)) throw error;
		return refused(at(source, [], `is not a usable JSON Schema: ${error.message}`));
	}
}

/** `schemas/output.json` refers to its neighbour as `other.json`. */
function addressOf(path: string): string {
	return `plimsoll:///${path.split('/').map(encodeURIComponent).join('/')}`;
}

interface MetaSchema {
	/** The schemas that draft 2020-12 is itself written in. */
	readonly standard: SchemaDocuments;
	/** What is wrong with a schema by them, each with its place. */
	metaProblems(schema: Schema): readonly (readonly [FieldPath, string])[];
}

let made: MetaSchema | null = null;

/** Made when it is first needed: it takes a few milliseconds. */
function metaSchema(): MetaSchema {
	made ??= createMetaSchema();
	return made;
}

function createMetaSchema(): MetaSchema {
	const ajv = new Ajv2020({ strict: false, allErrors: true, logger: false, validateFormats: false });
	const parts = [...VOCABULARIES.keys()].map((uri) => uri.replace('/vocab/', '/meta/'));
	const standard = new Map(
		[DRAFT_2020_12, ...parts].flatMap((uri): [string, unknown][] => {
			const schema = ajv.getSchema(uri)?.schema;
			return schema === undefined ? [] : [[uri, schema]];
		}),
	);
	return {
		standard,
		metaProblems(schema) {
			if (ajv.validate(DRAFT_2020_12, schema)) return [];
			return (ajv.errors ?? []).map(({ instancePath, message = '' }) => [pointer(instancePath), message]);
		},
	};
}

function at(source: SourceFile, path: FieldPath, message: string): Problem {
	// JSON is YAML too, so the same parser finds the place.
	return { ...fileProblem(source.file, message), ...parseYaml(source).valuePlace(path), field: fieldName(path) };
}

function pointer(text: string): FieldPath {
	const segments = text
		.split('/')
		.slice(1)
		.map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'));
	return segments.map((segment) => (/^\d+$/.test(segment) ? Number(segment) : segment));
}
