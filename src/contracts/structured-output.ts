import { countTokens, type TokenizerName } from '../base/tokens.ts';
import type { Problem } from '../spec/problem.ts';
import { fitSchema, type Misfit } from './fit-schema.ts';
import type { OutputSchema } from './output-schema.ts';
import type { UpstreamConfig } from './project.ts';
import type { Contract, SchemaFormat, SchemaReading } from './release.ts';
import { DIALECT_RULES } from './schema-dialect.ts';
import { fileProblem, type SourceFile } from './source-file.ts';
import { fieldName } from './validation.ts';
import { parseYaml } from './yaml-document.ts';

type Schema = Readonly<Record<string, unknown>>;

/** More notes than these on one upstream help nobody. */
const NOTES_MAX = 10;

export interface Structuring {
	readonly structured: Contract['guards']['structured'];
	/** What an upstream cannot be told of the schema: nothing that stops a release. */
	readonly notes: readonly Problem[];
}

/** How each upstream of a contract is asked for JSON of its schema. */
export function structuredOutput(
	{ schema, reading }: OutputSchema,
	mode: 'auto' | 'prompt' | 'off',
	from: { feature: string; source: SourceFile | null; upstreams: readonly UpstreamConfig[] },
): Structuring {
	if (mode === 'off') return { structured: null, notes: [] };
	const formats: Record<string, SchemaFormat> = {};
	const notes: Problem[] = [];
	let isAsked = mode === 'prompt';
	for (const { name, schemaDialect, tokenizer } of from.upstreams) {
		if (mode === 'prompt') break;
		if (schemaDialect === null) {
			isAsked = true;
			continue;
		}
		const { schema: fitted, dropped, barred } = fitSchema(schema, DIALECT_RULES[schemaDialect]);
		if (fitted === null) isAsked = true;
		else formats[name] = responseFormat(from.feature, fitted, tokenizer);
		if (from.source) notes.push(...notesOf(from.source, name, { dropped: fitted === null ? [] : dropped, barred }));
	}
	return { structured: { formats, instruction: isAsked ? instructionFor(schema, reading) : null }, notes };
}

function responseFormat(feature: string, schema: Schema, tokenizer: TokenizerName): SchemaFormat {
	const responseFormat = { type: 'json_schema', json_schema: { name: feature.slice(0, 64), schema, strict: true } };
	return { responseFormat, tokens: countTokens(JSON.stringify(schema), tokenizer) };
}

/** Stands at the end of the system part, for upstreams that cannot be held to a schema. */
function instructionFor(schema: Schema, { documents }: SchemaReading): string {
	const others = Object.entries(documents).map(([uri, one]) => `\nIt refers to ${uri}:\n${JSON.stringify(one)}`);
	return `Answer with one JSON value and nothing else: no explanation before or after it, and no code fence. It must satisfy this JSON Schema:\n${JSON.stringify(schema)}${others.join('')}`;
}

function notesOf(
	source: SourceFile,
	upstream: string,
	{ dropped, barred }: Record<'dropped' | 'barred', readonly Misfit[]>,
): Problem[] {
	const document = parseYaml(source);
	const note = ({ path }: Misfit, message: string): Problem => ({
		...fileProblem(source.file, message),
		...document.valuePlace(path),
		field: fieldName(path),
	});
	const all = [
		...barred.map((one) => note(one, `${one.what}, which ${upstream} cannot be told: the prompt asks for the schema`)),
		...dropped.map((one) => note(one, `is not told to ${upstream}, and checked when the answer is there`)),
	];
	if (all.length <= NOTES_MAX) return all;
	const more = fileProblem(source.file, `${all.length - NOTES_MAX} more parts of it cannot be told to ${upstream}`);
	return [...all.slice(0, NOTES_MAX), more];
}
