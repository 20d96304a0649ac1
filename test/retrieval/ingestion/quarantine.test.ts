import path from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import {
	collection,
	ingestion,
	jsonlSource,
	openRetrievalFixture,
	type RetrievalFixture,
	retrievalConfig,
} from '../../support/retrieval-fixture.ts';

let fixture: RetrievalFixture;
afterEach(() => fixture.close());

const RULES = { fields: { product: { type: 'text', required: true, one_of: ['car', 'bike'] } } };

type Written = Parameters<typeof ingestion>[0];

const config = (dir: string, written: Written) =>
	retrievalConfig([collection([jsonlSource(path.join(dir, 'all.jsonl'))], { ingestion: ingestion(written) })]);

async function open(written: Written, documents: readonly unknown[]): Promise<void> {
	fixture = await openRetrievalFixture((dir) => config(dir, written));
	await write(documents);
}

const write = (documents: readonly unknown[]) =>
	fixture.write({ 'all.jsonl': documents.map((document) => JSON.stringify(document)).join('\n') });
const configure = (written: Written) => fixture.retrieval.update(config(fixture.dir, written));
const entries = () => fixture.records.quarantine.list({ collection: 'docs', source: null, state: null, limit: 100 });
const texts = async (query: string) => (await fixture.search(query)).hits.map(({ text }) => text);

const CAR = { id: 'car/☂', text: 'A car brakes.', product: 'car' };
const BIKE = { id: 'bike', text: 'A bike rolls.', product: 'bike' };
const BOAT = { id: 'boat', text: 'A boat floats.', product: 'boat' };

describe('a document that does not fit', () => {
	it('is named with its reasons, and the others come in with typed fields', async () => {
		await open({ documents: RULES }, [CAR, BOAT, BIKE, { id: 5, text: 7 }]);
		const { runId, sources } = await fixture.ingest();
		expect(sources).toMatchObject([{ seen: 4, new: 2, quarantined: 1, failures: 1, kept: 0 }]);
		expect(sources[0]?.misfits).toEqual([
			{ document: 'boat', reason: 'the field product is "boat", not one of car, bike' },
		]);
		expect(await entries()).toMatchObject([
			{ source: 'lines', document: '5', kind: 'failed', reasons: ['the field text is not text'], runId },
			{
				source: 'lines',
				document: 'boat',
				kind: 'misfit',
				kept: false,
				state: 'held',
				contentHash: expect.any(String),
			},
		]);
		const [hit] = (await fixture.search('car')).hits;
		expect(hit).toMatchObject({ documentId: 'car/☂', fields: { product: 'car', content_type: 'text/plain' } });
		expect(Object.keys(hit?.fields ?? {}).filter((name) => name.startsWith('_'))).toEqual([]);
	});

	it('comes in by itself once it or the rules change, and goes from the list when it is gone', async () => {
		await open({ documents: RULES }, [CAR, BOAT, { ...BOAT, id: 'boat2' }, { ...BOAT, id: 'boat3' }]);
		await fixture.ingest();
		expect(await entries()).toHaveLength(3);
		await write([CAR, { ...BOAT, product: 'bike' }, { ...BOAT, id: 'boat2' }]);
		expect((await fixture.ingest()).sources).toMatchObject([{ new: 1, unchanged: 1, quarantined: 1 }]);
		expect((await entries()).map(({ document }) => document)).toEqual(['boat2']);
		await configure({ documents: { fields: { product: { type: 'text', required: true } } } });
		expect((await fixture.ingest()).sources).toMatchObject([{ new: 1, unchanged: 2, quarantined: 0 }]);
		expect(await entries()).toEqual([]);
	});

	it('keeps its last good version, or goes, as the collection says', async () => {
		await open({ documents: RULES }, [CAR, BIKE]);
		await fixture.ingest();
		await write([CAR, { ...BIKE, text: 'A bike flies.', product: 'boat' }]);
		const kept = await fixture.ingest();
		expect(kept).toMatchObject({ promoted: false, sources: [{ unchanged: 1, quarantined: 1, kept: 1, deleted: 0 }] });
		expect(await texts('bike')).toEqual(['A bike rolls.']);
		expect(await entries()).toMatchObject([{ document: 'bike', kept: true }]);
		await configure({ documents: RULES, ingestion: { misfits: 'remove' } });
		expect(await fixture.ingest()).toMatchObject({
			promoted: true,
			sources: [{ quarantined: 1, kept: 0, deleted: 0 }],
		});
		expect(await texts('bike')).toEqual([]);
	});

	it('is found among what is live when the rules get stricter, without embedding or writing the others again', async () => {
		await open({}, [CAR, BOAT]);
		await fixture.ingest();
		await configure({ documents: { text_chars_max: 13 } });
		expect((await fixture.ingest()).sources).toMatchObject([{ unchanged: 1, quarantined: 1, kept: 1, chunks: 0 }]);
	});

	it('is found when it grows too old where it lies', async () => {
		const documents = { freshness: { field: 'updated_at', max_age_days: 36_500 } };
		await open({ documents }, [
			{ ...CAR, updated: '1950-01-01' },
			{ ...BIKE, updated: '2026-01-01' },
		]);
		expect((await fixture.ingest()).sources).toMatchObject([{ new: 2 }]);
		const rules = config(fixture.dir, { documents: { freshness: { field: 'updated_at', max_age_days: 3_650 } } });
		await fixture.retrieval.update(rules);
		expect((await fixture.ingest()).sources).toMatchObject([{ unchanged: 1, quarantined: 1, kept: 1 }]);
	});

	it('is listed within a bound, and beyond it counted', async () => {
		const misfits = Array.from({ length: 8 }, (_, n) => ({ ...BOAT, id: `boat${n}` }));
		await open({ documents: RULES, ingestion: { quarantine_documents_max: 5 } }, [CAR, ...misfits]);
		for (let run = 0; run < 2; run++) {
			expect((await fixture.ingest()).sources).toMatchObject([{ quarantined: 8 }]);
			expect(await entries()).toHaveLength(5);
			expect(await fixture.records.quarantine.count('docs')).toEqual({ held: 5, retry: 0, dropped: 0, unlisted: 3 });
		}
	});

	it('stays out of sight when it is dropped, until it changes', async () => {
		await open({ documents: RULES }, [CAR, BOAT]);
		await fixture.ingest();
		const [entry] = await entries();
		expect(await fixture.records.quarantine.mark('docs', [entry?.id ?? ''], 'dropped')).toBe(1);
		await fixture.ingest();
		expect(await entries()).toEqual([]);
		expect(await fixture.records.quarantine.count('docs')).toMatchObject({ held: 0, dropped: 1 });
		await write([CAR, { ...BOAT, text: 'A boat sinks.' }]);
		await fixture.ingest();
		expect(await entries()).toMatchObject([{ document: 'boat', state: 'held' }]);
	});
});

describe('a run stops with the old generation serving and an alert', () => {
	const many = (count: number, more = {}) =>
		Array.from({ length: count }, (_, n) => ({ id: `d${n}`, text: `Document number ${n}.`, product: 'car', ...more }));

	it('when a source returns half, until a person accepts that', async () => {
		await open({}, many(40));
		const { generation } = await fixture.ingest();
		await write(many(20));
		await expect(fixture.ingest()).rejects.toMatchObject({
			code: 'ingestion_stopped',
			message: expect.stringContaining('lines: 20 of 40 documents would be gone, more than documents_drop_max (0.1)'),
		});
		expect([...fixture.alerts.keys()]).toEqual(['ingestion_failed:docs']);
		expect(await fixture.search('number 39', { k: 1 })).toMatchObject({ generation, hits: [{ documentId: 'd39' }] });
		await write(many(40));
		expect(await fixture.ingest()).toMatchObject({
			generation,
			promoted: false,
			sources: [{ unchanged: 40, chunks: 0 }],
		});
		expect([...fixture.alerts.keys()]).toEqual([]);
		await write(many(20));
		expect(await fixture.ingest('docs', { accept: true })).toMatchObject({
			promoted: true,
			sources: [{ deleted: 20 }],
		});
	});

	it('when 30 % of its documents lose a required field, with the last good ones kept', async () => {
		await open({ documents: RULES }, many(40));
		const { generation } = await fixture.ingest();
		await write(many(40).map((document, n) => (n % 10 < 3 ? { ...document, product: undefined } : document)));
		await expect(fixture.ingest()).rejects.toMatchObject({
			code: 'ingestion_stopped',
			message: expect.stringContaining('lines: 12 of 40 documents do not fit, more than quarantined_share_max (0.2)'),
		});
		expect((await entries())[0]).toMatchObject({ kept: true, reasons: ['the field product is missing'] });
		expect((await fixture.search('document')).generation).toBe(generation);
	});

	it('when more fail or do not fit than were accepted, and not again for those that were', async () => {
		const broken = (from: number, count: number) =>
			many(40).map((document, n) => (n >= from && n < from + count ? { ...document, text: 7 } : document));
		await open({ documents: RULES }, broken(0, 15));
		await expect(fixture.ingest()).rejects.toMatchObject({
			message: expect.stringContaining('15 of 40 documents failed, more than failed_share_max (0.2)'),
		});
		expect(await fixture.ingest('docs', { accept: true })).toMatchObject({ promoted: true, sources: [{ new: 25 }] });
		await write([...broken(0, 15), BIKE]);
		expect(await fixture.ingest()).toMatchObject({ promoted: true, sources: [{ new: 1, failures: 15 }] });
		await write(broken(0, 26));
		await expect(fixture.ingest()).rejects.toMatchObject({
			message: expect.stringContaining('11 of 25 documents failed beyond the 15 that were accepted, more than'),
		});
		await write(broken(0, 3));
		expect(await fixture.ingest()).toMatchObject({ promoted: true, sources: [{ failures: 3 }] });
		await write(broken(0, 15));
		await expect(fixture.ingest()).rejects.toMatchObject({
			message: expect.stringContaining('12 of 37 documents failed beyond the 3 that were accepted'),
		});
	});
});
