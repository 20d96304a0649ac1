import type { Problem } from '../spec/problem.ts';
import { CHUNK_TOKENS_DEFAULTS } from './chunker-schema.ts';
import { dangling } from './dangling.ts';
import { documentProblems } from './document-checks.ts';
import { valueAt } from './schema-node.ts';
import { problemAt } from './validation.ts';
import type { YamlDocument } from './yaml-document.ts';

/** What a schema cannot say about one collection. */
export function collectionProblems(
	{ document, embedders }: { document: YamlDocument; embedders: readonly string[] },
	name: string,
	raw: unknown,
): Problem[] {
	const problems: Problem[] = [];
	const path = ['collections', name];
	const embedder = valueAt(raw, ['embedder']);
	if (typeof embedder === 'string' && !embedders.includes(embedder)) {
		problems.push(problemAt(document, [...path, 'embedder'], dangling('embedder', embedder, embedders)));
	}
	const by = valueAt(raw, ['partition', 'by']);
	if (by === 'tenant' && typeof valueAt(raw, ['access', 'tenant_field']) !== 'string') {
		const hint = 'say there which field has the tenant, or partition by another field';
		problems.push(
			problemAt(document, [...path, 'partition', 'by'], { message: 'tenant needs access.tenant_field', hint }),
		);
	}
	const weight = valueAt(raw, ['search', 'vector_weight']);
	if (typeof weight === 'number' && weight > 0 && (embedder === undefined || embedder === null)) {
		const what = { message: `${weight} gives weight to vectors, but the collection has no embedder`, hint: 'name one' };
		problems.push(problemAt(document, [...path, 'search', 'vector_weight'], what));
	}
	problems.push(...chunkerProblems(document, [...path, 'chunker'], valueAt(raw, ['chunker'])));
	problems.push(...documentProblems(document, path, raw));
	return problems;
}

/** Settings of a chunker that only some kinds have. */
const ONLY_FOR: Readonly<Record<string, readonly string[]>> = {
	overlap_tokens: ['sentences', 'tokens'],
	rows_max: ['rows'],
};

function chunkerProblems(document: YamlDocument, path: readonly string[], raw: unknown): Problem[] {
	const problems: Problem[] = [];
	const kind = valueAt(raw, ['kind']) ?? 'structure';
	const least = valueAt(raw, ['tokens_min']);
	const most = Number(valueAt(raw, ['tokens_max']) ?? CHUNK_TOKENS_DEFAULTS.max);
	const merges = kind !== 'tokens' && kind !== 'whole';
	if ((merges || least !== undefined) && Number(least ?? CHUNK_TOKENS_DEFAULTS.min) >= most) {
		const message = `tokens_min (${least ?? CHUNK_TOKENS_DEFAULTS.min}) is not below tokens_max (${most})`;
		problems.push(problemAt(document, [...path, least === undefined ? 'tokens_max' : 'tokens_min'], { message }));
	}
	const overlap = valueAt(raw, ['overlap_tokens']);
	if (typeof overlap === 'number' && overlap * 2 >= most) {
		const message = `overlap_tokens (${overlap}) is not below half of tokens_max (${most})`;
		problems.push(problemAt(document, [...path, 'overlap_tokens'], { message }));
	}
	for (const [field, kinds] of Object.entries(ONLY_FOR)) {
		const value = valueAt(raw, [field]);
		if (value === undefined || value === null || kinds.includes(String(kind))) continue;
		const what = {
			message: `has no effect on a chunker of kind ${kind}`,
			hint: `leave it out, or choose kind: ${kinds.join(' or ')}`,
		};
		problems.push(problemAt(document, [...path, field], what));
	}
	return problems;
}
