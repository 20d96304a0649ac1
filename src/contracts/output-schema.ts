import { Ajv2020 } from 'ajv/dist/2020.js';
import formats from 'ajv-formats';
import type { Checked, Problem } from '../spec/problem.ts';
import { schemaFaults } from './schema-limits.ts';
import { isMapping } from './schema-node.ts';
import { accepted, fileProblem, refused, type SourceFile } from './source-file.ts';
import { fieldName } from './validation.ts';
import { type FieldPath, parseYaml } from './yaml-document.ts';

/** Parses one file of `schemas/` as a JSON Schema (2020-12) that compiles. */
export function checkOutputSchema(source: SourceFile): Checked<Readonly<Record<string, unknown>>> {
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
	const problem = compileProblem(schema);
	return problem === null ? accepted(schema) : refused(...problem(source));
}

function compileProblem(schema: Readonly<Record<string, unknown>>): ((source: SourceFile) => Problem[]) | null {
	const ajv = new Ajv2020({
		strict: true,
		strictTypes: false,
		strictTuples: false,
		strictRequired: false,
		allowMatchingProperties: true,
		allErrors: true,
		logger: false,
	});
	formats.default(ajv);
	try {
		if (ajv.validateSchema(schema) !== true) {
			const errors = (ajv.errors ?? []).map((error) => [pointer(error.instancePath), error.message ?? ''] as const);
			return (source) => errors.map(([path, message]) => at(source, path, `is not valid JSON Schema: ${message}`));
		}
		const faults = schemaFaults(schema);
		if (faults.length > 0) {
			return (source) => faults.map(({ path, message, hint }) => ({ ...at(source, path, message), hint }));
		}
		ajv.compile(schema);
		return null;
	} catch (error) {
		const message = error instanceof Error ? error.message : String(error);
		const hint = message.includes('json-schema.org') ? 'schemas here are JSON Schema 2020-12' : null;
		return (source) => [{ ...at(source, [], `is not a usable JSON Schema: ${message}`), hint }];
	}
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
