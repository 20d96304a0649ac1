import type { CollectionConfig, SourceConfig } from '../../src/contracts/collection.ts';
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

export const document = (id: string, text: string, more: Partial<PushInput> = {}): PushInput => ({
	id,
	text,
	base64: null,
	format: null,
	title: null,
	fields: {},
	...more,
});

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
