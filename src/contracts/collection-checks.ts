import type { Problem } from '../spec/problem.ts';
import { CHUNK_TOKENS_DEFAULTS } from './chunker-schema.ts';
import { dangling } from './dangling.ts';
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
	const weight = valueAt(raw, ['search', 'vector_weight']);
	if (typeof weight === 'number' && weight > 0 && (embedder === undefined || embedder === null)) {
		const what = { message: `${weight} gives weight to vectors, but the collection has no embedder`, hint: 'name one' };
		problems.push(problemAt(document, [...path, 'search', 'vector_weight'], what));
	}
	const least = valueAt(raw, ['chunker', 'tokens_min']);
	const most = valueAt(raw, ['chunker', 'tokens_max']);
	if (
		(least !== undefined || most !== undefined) &&
		Number(least ?? CHUNK_TOKENS_DEFAULTS.min) >= Number(most ?? CHUNK_TOKENS_DEFAULTS.max)
	) {
		const field = least === undefined ? 'tokens_max' : 'tokens_min';
		const message = `tokens_min (${least ?? CHUNK_TOKENS_DEFAULTS.min}) is not below tokens_max (${most ?? CHUNK_TOKENS_DEFAULTS.max})`;
		problems.push(problemAt(document, [...path, 'chunker', field], { message }));
	}
	return problems;
}
