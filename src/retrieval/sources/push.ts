import type { PushedEntry } from '../../spec/pushed.ts';
import { isFormat, type ListedDocument, type OpenSource, type SourceItem } from '../source-item.ts';
import type { ConfigOf, SourceAccess } from './access.ts';

const PAGE = 500;

/** The documents that were sent, in the order of their ids, each read only when the index does not hold it as it is. */
export async function openPush(
	{ name }: ConfigOf<'push'>,
	{ pushed, collection }: SourceAccess,
	signal: AbortSignal,
): Promise<OpenSource> {
	const place = { collection, source: name };
	return {
		total: (await pushed.total(place)).documents,
		async *items() {
			for (let after: string | null = null; ; ) {
				signal.throwIfAborted();
				const page: readonly PushedEntry[] = await pushed.list({ ...place, after, limit: PAGE, tenant: null });
				for (const entry of page) yield itemOf(entry, pushed);
				after = page.at(-1)?.id ?? null;
				if (page.length < PAGE) return;
			}
		},
	};
}

function itemOf(entry: PushedEntry, pushed: SourceAccess['pushed']): SourceItem {
	const { id, format, hash, title, meta } = entry;
	if (!isFormat(format)) return { failed: { document: id, reason: `there is no reader for its format ${format}` } };
	const listed: Omit<ListedDocument, 'load'> = { id, format, title: title ?? id, meta, version: hash };
	return {
		listed: {
			...listed,
			async load() {
				const bytes = await pushed.body(entry);
				if (bytes) return { document: { ...listed, bytes } };
				return {
					failed: { document: id, reason: 'it was changed or deleted while it was read; the next run sees to it' },
				};
			},
		},
	};
}
