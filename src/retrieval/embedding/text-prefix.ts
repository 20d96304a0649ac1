import type { TextKind } from '../../spec/retrieval.ts';

/** What a model wants to stand before a text of this kind. */
export function prefixOf(
	kind: TextKind,
	{ queryPrefix, documentPrefix }: { readonly queryPrefix: string; readonly documentPrefix: string },
): string {
	if (kind === 'as_sent') return '';
	return kind === 'query' ? queryPrefix : documentPrefix;
}
