import { systemClock } from '../../src/base/clock.ts';
import { createHttpClient } from '../../src/base/http.ts';
import type { SourceConfig } from '../../src/contracts/collection.ts';
import type { LoadedItem, SourceItem } from '../../src/retrieval/source-item.ts';
import type { SourceAccess } from '../../src/retrieval/sources/access.ts';
import { openSource } from '../../src/retrieval/sources/source.ts';
import { openSqliteRecords } from '../../src/stores/sqlite.ts';

const RECORDS = openSqliteRecords(':memory:');

export const ACCESS: SourceAccess = {
	clock: systemClock,
	http: createHttpClient({ connectionsMax: 4, connectMs: 2_000 }),
	web: {
		refuse: createHttpClient({ connectionsMax: 4, connectMs: 2_000, publicOnly: true }),
		allow: createHttpClient({ connectionsMax: 4, connectMs: 2_000, withoutMetadata: true }),
	},
	collection: 'docs',
	pushed: RECORDS.pushed,
	pages: RECORDS.pages,
};

/** All that a source yields; what it only lists is loaded. */
export async function itemsOf(
	config: SourceConfig,
	{ access = ACCESS, signal = new AbortController().signal }: { access?: SourceAccess; signal?: AbortSignal } = {},
): Promise<LoadedItem[]> {
	const found: LoadedItem[] = [];
	for await (const item of (await openSource(config, access, signal)).items()) {
		if ('hashed' in item) found.push(await item.hashed.load(signal));
		else found.push('listed' in item ? await item.listed.load(signal) : item);
	}
	return found;
}

/** Failures by document; of documents their id, title, text and fields. */
export function summary(items: readonly SourceItem[]) {
	return items.map((item) => {
		if ('failed' in item) return [item.failed.document, item.failed.reason];
		if ('listed' in item) return [item.listed.id, item.listed.version];
		if ('hashed' in item) return [item.hashed.id, item.hashed.hash];
		const { id, title, bytes, meta } = item.document;
		return [id, title, Buffer.from(bytes).toString(), meta.fields];
	});
}
