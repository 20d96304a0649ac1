import type { CollectionConfig, SourceConfig } from '../../src/contracts/collection.ts';
import { contentOf } from '../../src/gateway/document-body.ts';
import { metaOf } from '../../src/retrieval/document-meta.ts';
import type { PushInput, PushReceipt } from '../../src/spec/push.ts';
import { collection, openRetrievalFixture, type RetrievalFixture, retrievalConfig } from './retrieval-fixture.ts';

export function pushSource(overrides: Partial<Extract<SourceConfig, { kind: 'push' }>> = {}): SourceConfig {
	return {
		name: 'sent',
		kind: 'push',
		documentBytesMax: 100_000,
		storedDocumentsMax: 1_000,
		storedBytesMax: 1_000_000,
		batchMs: 0,
		...overrides,
	};
}

interface More {
	readonly text?: string | null;
	readonly base64?: string | null;
	readonly format?: string;
	readonly title?: string;
	readonly fields?: Readonly<Record<string, unknown>>;
}

export const document = (id: string, text: string, more: More = {}): PushInput => {
	const { format = null, title = null, fields = {} } = more;
	const content = contentOf(more.text === undefined ? text : more.text, more.base64 ?? null);
	return { id, content, format, title, meta: metaOf(fields) };
};

export const ORDER = {
	collection: 'docs',
	source: null,
	tenant: null,
	accept: false,
	waitMs: 60_000,
	signal: new AbortController().signal,
};

export function openPushFixture(
	overrides: Partial<CollectionConfig> = {},
	sources: (dir: string) => readonly SourceConfig[] = () => [pushSource()],
): Promise<RetrievalFixture> {
	return openRetrievalFixture((dir) => retrievalConfig([collection(sources(dir), overrides)]));
}

/** What became of each document, shortly. */
export function outcomes({ results }: PushReceipt) {
	return results.map(({ id, outcome, state, refused }) => [id, outcome, refused?.code ?? state?.state ?? null]);
}
