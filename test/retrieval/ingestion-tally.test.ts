import { rm } from 'node:fs/promises';
import { expect, it, onTestFinished } from 'vitest';
import { VirtualClock } from '../../src/base/virtual-clock.ts';
import { IngestionTally } from '../../src/retrieval/ingestion-tally.ts';
import { PlimsollError } from '../../src/spec/errors.ts';
import { openAiEmbedder } from '../support/embedder-fixture.ts';
import { startEmbeddingServer } from '../support/embedding-server.ts';
import { collection, folderSource, openRetrievalFixture, retrievalConfig } from '../support/retrieval-fixture.ts';

it('adds up what runs, rebuilds and failures came to, and what runs now', async () => {
	const server = await startEmbeddingServer();
	const fixture = await openRetrievalFixture((dir) =>
		retrievalConfig([collection([folderSource(dir)], { embedder: 'remote' })], [openAiEmbedder(server.url)]),
	);
	onTestFinished(async () => {
		await fixture.close();
		await server.close();
	});
	expect(fixture.retrieval.ingestions()).toEqual([]);
	await fixture.write({ 'a.md': '# One\n\nA page.\n', 'b.md': '# Two\n\nAnother page.\n' });
	const { embedding } = await fixture.ingest();
	const [first] = fixture.retrieval.ingestions();
	expect(first).toMatchObject({
		collection: 'docs',
		runs: { succeeded: 1, failed: 0 },
		documents: { written: 2, unchanged: 0 },
		chunks: 2,
		rebuiltChunks: 0,
		running: null,
	});
	expect(first?.embedding).toMatchObject({ answered: embedding?.calls, failed: 0, tokens: embedding?.tokens });
	expect(first?.embedding.tokens).toBeGreaterThan(0);
	await fixture.write({ 'b.md': '# Two\n\nAnother page, changed.\n' });
	let during = fixture.retrieval.ingestions()[0]?.running;
	await fixture.ingest('docs', {
		onProgress: ({ phase }) => {
			if (phase === 'write') during = fixture.retrieval.ingestions()[0]?.running;
		},
	});
	expect(during).toEqual({ rebuild: false, documents: 2 });
	await fixture.ingest('docs', { fresh: true });
	expect(fixture.retrieval.ingestions()[0]).toMatchObject({
		runs: { succeeded: 3 },
		documents: { written: 5, unchanged: 1 },
		chunks: 5,
		rebuiltChunks: 2,
	});
	expect(await fixture.records.generations.counts()).toContainEqual({
		collection: 'docs',
		state: 'live',
		generations: 1,
	});
	await rm(fixture.dir, { recursive: true });
	await expect(fixture.ingest()).rejects.toMatchObject({ code: 'source_unusable' });
	expect(fixture.retrieval.ingestions()[0]).toMatchObject({ runs: { succeeded: 3, failed: 1 }, running: null });
});

it('a run whose end cannot be put on record is one that failed, and is counted once', async () => {
	const fixture = await openRetrievalFixture((dir) => retrievalConfig([collection([folderSource(dir)])]));
	onTestFinished(() => fixture.close());
	await fixture.write({ 'a.md': '# One\n\nA page.\n' });
	const putRun = fixture.records.putRun.bind(fixture.records);
	fixture.records.putRun = async (run) => {
		if (run.outcome === 'succeeded') throw new PlimsollError('storage_failed', 'no space left');
		await putRun(run);
	};
	await expect(fixture.ingest()).rejects.toMatchObject({ code: 'storage_failed' });
	expect(fixture.retrieval.ingestions()).toMatchObject([
		{ runs: { succeeded: 0, refused: 0, failed: 1, cancelled: 0 }, running: null },
	]);
});

it('leaves out no money of a run that failed', async () => {
	const clock = new VirtualClock();
	const tally = new IngestionTally(clock);
	const run = tally.begin('docs', { rebuild: true });
	run.progress({ source: 'a', phase: 'write', done: 10, total: 20, tokens: 500, costMicros: 30 });
	run.progress({ source: 'b', phase: 'scan', done: 3, total: null, tokens: 500, costMicros: 30 });
	expect(tally.view()[0]?.running).toEqual({ rebuild: true, documents: 13 });
	await clock.advance(2_500);
	run.end('cancelled', null);
	tally.begin('docs', { rebuild: false }).end('failed', null);
	expect(tally.view()).toMatchObject([
		{ runs: { cancelled: 1, failed: 1 }, embedding: { tokens: 500, costMicros: 30 }, seconds: 2.5, running: null },
	]);
});
