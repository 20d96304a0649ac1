import * as z from 'zod';
import { canonicalJson } from '../base/canonical-json.ts';
import { sha256 } from '../base/hash.ts';
import type { Checked, Problem } from '../spec/problem.ts';
import { deepFreeze } from './freeze.ts';
import type { SchemaNode } from './schema-node.ts';
import { accepted, fileProblem, refused, type SourceFile } from './source-file.ts';
import { tidy, validate } from './validation.ts';
import { parseYaml } from './yaml-document.ts';

/** The name of a feature's file of canaries. */
export const CANARY_FILE = 'canaries.jsonl';
/** A file with more checks the index for longer than it says anything new. */
const CANARIES_MAX = 2_000;
/** A search reads no more of a query either. */
const QUERY_CHARS_MAX = 8_192;

/** A query with a known answer: any of its documents, or any chunk with its text, is right. */
export interface Canary {
	/** With the feature in front that it belongs to, such as `ask-docs/token-budget`; else as written. */
	readonly id: string;
	readonly query: string;
	/** Ids of the documents that answer it; empty where `chunkText` alone says what is right. */
	readonly documents: readonly string[];
	/** Of which source the documents are; null: of any. */
	readonly source: string | null;
	/** What the chunk that is found must hold, whatever its white space and case; null: anything. */
	readonly chunkText: string | null;
	/** Among how many chunks it must be found; null: as its feature or collection says. */
	readonly k: number | null;
	/** What the search is filtered by, as clients write it; null: by nothing. Checked by the fields of the live generation. */
	readonly filter: Readonly<Record<string, unknown>> | null;
	/** In whose name it is asked, where the collection restricts who finds what; null: an operator's, who finds all. */
	readonly tenant: string | null;
	/** Changes with anything that could change its outcome. */
	readonly hash: string;
}

const canarySchema = z.strictObject({
	id: z
		.string()
		.regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/)
		.meta({ 'x-expected': 'an id of letters, digits, dots, hyphens and underscores' }),
	query: z
		.string()
		.max(QUERY_CHARS_MAX)
		.refine((text) => text.trim() !== '', 'is empty')
		.meta({ 'x-expected': `a text of at most ${QUERY_CHARS_MAX} characters` }),
	documents: z
		.array(z.string().min(1).max(1_024))
		.max(100)
		.meta({ 'x-expected': 'a list of the ids of documents' })
		.default([]),
	source: z.string().min(1).max(64).nullable().default(null),
	chunk_text: z.string().min(1).max(10_000).nullable().default(null),
	k: z.int().min(1).max(1_000).nullable().default(null),
	filter: z.record(z.string().min(1).max(200), z.unknown()).nullable().default(null),
	tenant: z.string().min(1).max(63).nullable().default(null),
});
const canaryJsonSchema = z.toJSONSchema(canarySchema, { io: 'input' }) as SchemaNode;

/**
 * Reads a file of canaries: one JSON object on each line, blank lines aside. Every problem is told with its line.
 * @param feature whose file it is; null: a collection's own.
 */
export function parseCanaries(
	{ file, text }: Pick<SourceFile, 'file' | 'text'>,
	feature: string | null,
): Checked<readonly Canary[]> {
	const problems: Problem[] = [];
	const canaries: Canary[] = [];
	const lines = new Map<string, number>();
	for (const [at, line] of text.split('\n').entries()) {
		if (line.trim() === '') continue;
		const number = at + 1;
		const read = readLine(file, line);
		problems.push(...read.problems.map((problem) => ({ ...problem, line: number })));
		if (!read.ok) continue;
		const { value: raw } = read;
		const first = lines.get(raw.id);
		if (first !== undefined) {
			const message = `${raw.id} is the id of line ${first} already`;
			problems.push({
				...fileProblem(file, message, 'give each canary its own'),
				line: number,
				column: 1,
				field: 'id',
			});
			continue;
		}
		lines.set(raw.id, number);
		canaries.push(canaryOf(raw, feature));
	}
	if (canaries.length > CANARIES_MAX) {
		problems.push(fileProblem(file, `holds ${canaries.length} canaries, more than ${CANARIES_MAX}`, 'keep the best'));
	}
	if (canaries.length === 0 && problems.length === 0) {
		const hint = 'write one {"id": …, "query": …, "documents": […]} on each line, or remove the file';
		problems.push(fileProblem(file, 'holds no canary', hint));
	}
	return problems.length > 0 ? refused(...problems) : accepted(deepFreeze(canaries));
}

function readLine(file: string, line: string): Checked<z.output<typeof canarySchema>> {
	try {
		JSON.parse(line);
	} catch (thrown) {
		const reason = thrown instanceof Error ? thrown.message : String(thrown);
		return refused({ ...fileProblem(file, 'is not JSON', reason.slice(0, 200)), column: 1 });
	}
	// JSON is YAML, which is read with positions.
	const document = parseYaml({ file, text: line.trim() });
	const subject = { document, tree: document.value, sourceOf: () => null };
	const { value, problems } = validate({ zod: canarySchema, json: canaryJsonSchema }, subject);
	const all = tidy([...document.problems, ...problems]);
	if (value && all.length === 0 && value.documents.length === 0 && value.chunk_text === null) {
		const hint = 'say which documents answer it, or what the right chunk holds';
		return refused({ ...fileProblem(file, 'names neither documents nor chunk_text', hint), column: 1 });
	}
	return value === null || all.length > 0 ? refused(...all) : accepted(value);
}

function canaryOf(raw: z.output<typeof canarySchema>, feature: string | null): Canary {
	const { query, documents, source, chunk_text: chunkText, k, filter, tenant } = raw;
	const asked = { query, documents, source, chunkText, k, filter, tenant };
	return {
		id: feature === null ? raw.id : `${feature}/${raw.id}`,
		...asked,
		hash: sha256(canonicalJson(asked)).slice(0, 16),
	};
}
