import type { Problem } from '../spec/problem.ts';
import { BODY_BYTES_DEFAULT, PLACES_DEFAULT } from './project-schema.ts';
import { valueAt } from './schema-node.ts';
import { problemAt } from './validation.ts';
import type { YamlDocument } from './yaml-document.ts';

/** What a schema cannot say about `server` and `admission`: bounds that exclude each other. */
export function checkAdmission({ document, tree }: { document: YamlDocument; tree: unknown }): readonly Problem[] {
	const problems: Problem[] = [];
	const report = (path: readonly string[], message: string, expected: string) => {
		problems.push(problemAt(document, path, { message, expected }));
	};
	const minPath = ['admission', 'adaptive_limit', 'concurrent_requests_min'];
	const min = valueAt(tree, minPath);
	const max = valueAt(tree, ['server', 'concurrent_requests_max']) ?? PLACES_DEFAULT;
	if (typeof min === 'number' && typeof max === 'number' && min > max) {
		report(minPath, `${min} is above what may run at all`, `at most server.concurrent_requests_max (${max})`);
	}
	const heldPath = ['server', 'buffered_bytes_max'];
	const held = valueAt(tree, heldPath);
	const body = valueAt(tree, ['server', 'body_bytes_max']) ?? BODY_BYTES_DEFAULT;
	// One tenant gets at most four fifths of it.
	if (typeof held === 'number' && typeof body === 'number' && held < body * 2) {
		report(
			heldPath,
			`${held} is too little for a single large request`,
			`at least twice server.body_bytes_max (${body})`,
		);
	}
	return problems;
}
