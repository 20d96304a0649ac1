import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { VirtualClock } from '../../src/base/virtual-clock.ts';
import { LanceStore } from '../../src/index-stores/lancedb/store.ts';
import { Catalogue } from '../../src/retrieval/catalogue.ts';
import { chunkerIdentity } from '../../src/retrieval/chunkers/chunker.ts';
import { CollectionQueue } from '../../src/retrieval/collection-queue.ts';
import { Housekeeping } from '../../src/retrieval/housekeeping.ts';
import { Maintenance } from '../../src/retrieval/maintenance.ts';
import { fusionDescription, type Manifest, tablePrefix } from '../../src/retrieval/manifest.ts';
import type { IndexRow } from '../../src/spec/index-store.ts';
import type { StoredSource } from '../../src/spec/push.ts';
import type { RunRecord } from '../../src/spec/records.ts';
import { openSqliteRecords } from '../../src/stores/sqlite.ts';
import { collection } from '../support/retrieval-fixture.ts';
import { NO_ALERTS } from '../support/runtime-fixture.ts';

const DOCUMENTS = 100;
const TABLE = `${tablePrefix('docs')}aaaaaaaaaaaa`;
const CONFIG = collection([]);

function row(document: number, version: number): IndexRow {
	const text = `The hull of ship ${document} in its version ${version}, by anchor and capstan.`;
	return {
		...{ chunkId: `${document}-${version}`, documentId: `d${document}`, source: 'pages', title: `Ship ${document}` },
		...{ headingPath: [], text, fields: {}, start: 0, end: text.length, ordinal: 0, tokens: 12 },
		...{ contentHash: String(version), body: text, textAt: 0, vector: null },
	};
}

/** A real index with what keeps it tidy; a run is what an ingestion of one document does to them. */
async function setUp() {
	const folder = await mkdtemp(path.join(tmpdir(), 'plimsoll-maintenance-'));
	const clock = new VirtualClock();
	const store = new LanceStore(folder);
	await store.open();
	const records = openSqliteRecords(':memory:');
	const warnings: string[] = [];
	const warn = (message: string) => warnings.push(message);
	const catalogue = new Catalogue({ store, records, warn, alerts: NO_ALERTS, clock });
	await catalogue.update(new Map([['docs', CONFIG]]));
	const parts = { store, records, catalogue, clock, warn, queue: new CollectionQueue() };
	const housekeeping = new Housekeeping(parts);
	let left: readonly StoredSource[] = [];
	const maintenance = new Maintenance({ ...parts, housekeeping, stored: async () => left });
	const leave = (sources: readonly string[]) => {
		left = ['here', ...sources].map((source) => ({
			...{ collection: 'docs', source, documents: 1, bytes: 1, isConfigured: source === 'here' },
		}));
	};
	onTestFinished(async () => {
		await maintenance.close();
		catalogue.close();
		store.close();
		await records.close();
		await rm(folder, { recursive: true, force: true });
	});

	async function run(rows: readonly IndexRow[]): Promise<void> {
		const from = catalogue.state('docs').index?.manifest.generation ?? null;
		const build = await records.generations.begin({
			...{ collection: 'docs', table: TABLE, runId: 'run', at: clock.now() },
		});
		const writer = await store.writer({ table: TABLE, dimensions: null, fields: new Map() });
		await writer.write(from === null ? [] : rows, rows);
		const { version, chunks } = await writer.seal(await housekeeping.versionsToKeep('docs', TABLE));
		writer.close();
		const generation = `docs-g${build.sequence}-aaaaaaaa`;
		const manifest: Manifest = {
			...{ format: 1, collection: 'docs', generation, sequence: build.sequence, hash: null, engine: null },
			...{ table: TABLE, version, previous: null, embedding: null, fields: {}, sources: {}, createdByRun: 'run' },
			chunker: chunkerIdentity(CONFIG.chunker),
			lexical: { ...store.lexical, tokenizer: { ...store.lexical.tokenizer } },
			fusion: fusionDescription(CONFIG.search),
			...{ documents: chunks, chunks },
		};
		const record = { ...build, generation, manifest, state: 'verifying', documents: chunks, chunks } as const;
		await records.generations.put(record);
		await catalogue.promote(record, {
			kind: 'promotion',
			from,
			at: clock.now(),
			actor: 'process',
			why: 'x',
			entry: null,
		});
		await housekeeping.sweep('docs');
	}

	async function counts() {
		const entries = await readdir(folder, { recursive: true, withFileTypes: true });
		const files = entries.filter((entry) => entry.isFile());
		return { files: files.length, versions: files.filter(({ parentPath }) => parentPath.endsWith('_versions')).length };
	}

	/** CPU of this process for twenty searches, microseconds, the least of some rounds. */
	async function searchCpu(): Promise<number> {
		const ask = { limit: 10, filter: null, timeoutMs: 10_000 };
		let least = Number.POSITIVE_INFINITY;
		for (let round = 0; round < 4; round++) {
			const before = process.cpuUsage();
			for (let n = 0; n < 20; n++) {
				const found = await catalogue.state('docs').index?.reader.lexical(`ship ${n} anchor`, ask);
				expect(found?.length).toBe(10);
			}
			const { user, system } = process.cpuUsage(before);
			least = Math.min(least, user + system);
		}
		return least;
	}

	return { folder, catalogue, run, counts, searchCpu, clock, maintenance, housekeeping, records, warnings, leave };
}

it('two hundred small increments leave few files and versions, and searches as cheap as before', async () => {
	const { run, counts, searchCpu, clock, maintenance, warnings } = await setUp();
	await run(Array.from({ length: DOCUMENTS }, (_, document) => row(document, 0)));
	const cpuBefore = await searchCpu();
	const first = await counts();
	let most = 0;
	for (let n = 1; n <= 200; n++) {
		// Eleven minutes hold few of them: what requests may still read is kept.
		await clock.advance(120_000);
		await run([row(n % DOCUMENTS, n)]);
		if (n % 20 === 0) most = Math.max(most, (await counts()).files);
	}
	// Before anything is tidied: each run leaves what it replaced to the next one.
	expect(most).toBeLessThan(300);
	expect(await searchCpu()).toBeLessThan(cpuBefore * 3);
	await clock.advance(3_600_000);
	await maintenance.look();
	const { files, versions } = await counts();
	expect(versions).toBeLessThan(20);
	expect(files).toBeLessThan(first.files + 60);
	expect(await searchCpu()).toBeLessThan(cpuBefore * 3);
	expect(warnings).toEqual([]);
}, 240_000);

it('what a burst of runs left goes by the clock alone, once no request can read it, and not before', async () => {
	const { run, counts, clock, maintenance, housekeeping, records } = await setUp();
	await run(Array.from({ length: DOCUMENTS }, (_, document) => row(document, 0)));
	for (let n = 1; n <= 15; n++) await run([row(n, n)]);
	maintenance.start();
	const burst = await counts();
	expect(burst.versions).toBeGreaterThan(15);
	// A build that broke off is for the next run to go on with.
	await records.generations.put({
		...(await records.generations.begin({ collection: 'docs', table: TABLE, runId: 'run', at: 0 })),
		state: 'failed',
	});
	await clock.advance(300_000);
	await maintenance.look();
	expect((await counts()).versions).toBeGreaterThan(15);
	await clock.advance(600_000);
	await maintenance.look();
	expect((await counts()).versions).toBeLessThan(15);
	expect((await records.generations.list('docs', 1))[0]?.state).toBe('failed');
	// What needs nothing is left alone.
	expect(await housekeeping.isDue('docs')).toBe(false);
	const tidy = await counts();
	await clock.advance(300_000);
	await maintenance.look();
	expect(await counts()).toEqual(tidy);
}, 120_000);

it('records of runs stay in number and age, also of collections that are gone, and what names one keeps it', async () => {
	const { clock, maintenance, records, warnings } = await setUp();
	const at = clock.now();
	const run = (id: string, collection: string, startedAt: number): RunRecord => {
		return { id, collection, startedAt, endedAt: startedAt, outcome: 'succeeded', report: null, error: null };
	};
	const number = (n: number) => String(n).padStart(5, '0');
	for (let n = 0; n < 1_500; n++) await records.putRun(run(`docs-${number(n)}`, 'docs', at + n));
	for (let n = 0; n < 3; n++) await records.putRun(run(`gone-${n}`, 'gone', at + n));
	await records.generations.begin({ collection: 'docs', table: TABLE, runId: 'docs-00007', at });
	const ids = async (collection: string) => (await records.listRuns(collection, 5_000)).map(({ id }) => id).sort();
	await maintenance.look();
	const newest = Array.from({ length: 1_000 }, (_, n) => `docs-${number(n + 500)}`);
	expect(await ids('docs')).toEqual(['docs-00007', ...newest]);
	expect(await ids('gone')).toEqual(['gone-0', 'gone-1', 'gone-2']);
	await clock.advance(400 * 86_400_000 + 2);
	await maintenance.look();
	expect(await ids('gone')).toEqual(['gone-2']);
	await clock.advance(86_400_000);
	await maintenance.look();
	expect([await ids('docs'), await ids('gone')]).toEqual([['docs-00007'], []]);
	expect(warnings).toEqual([]);
});

it('what is stored and no longer configured is told once, and again when it is something else', async () => {
	const { maintenance, warnings, leave } = await setUp();
	const told = async (...sources: readonly string[]) => {
		leave(sources);
		await maintenance.look();
		return warnings.splice(0).map((line) => line.replace(/.*does not name: (.*); see.*/, '$1'));
	};
	expect(await told()).toEqual([]);
	expect(await told('sent')).toEqual(['sent of docs']);
	expect(await told('sent')).toEqual([]);
	expect(await told('sent', 'mail')).toEqual(['sent of docs, mail of docs']);
	expect(await told()).toEqual([]);
	expect(await told('sent')).toEqual(['sent of docs']);
});

/** What is live gets the digest of its rows, as if they had been verified at this time. */
async function verified(catalogue: Catalogue, at: number): Promise<number> {
	const { index } = catalogue.state('docs');
	if (!index) throw new Error('nothing is live');
	const { digest } = await index.reader.readEverything();
	await catalogue.amend({ ...index.manifest, digest, readAt: at });
	return at;
}

it('a reading that is ended tells nothing, neither that all was read nor that anything is wrong', async () => {
	const { catalogue, run, clock } = await setUp();
	await run([row(1, 0), row(2, 0)]);
	const verifiedAt = await verified(catalogue, clock.now());
	await clock.advance(1_000);
	const readAt = async (signal: AbortSignal) => {
		const { index: seen, problem } = await catalogue.examine('docs', { thorough: true, signal });
		expect(problem).toBeNull();
		expect(seen).not.toBeNull();
		return catalogue.state('docs').index?.manifest.readAt;
	};
	expect(await readAt(AbortSignal.abort(new Error('the server stops')))).toBe(verifiedAt);
	expect(await readAt(new AbortController().signal)).toBe(clock.now());
});

it('every row of what is live is read once a day, and a file that changed by itself is found', async () => {
	const { folder, catalogue, run, clock, maintenance, warnings } = await setUp();
	await run([row(1, 0), row(2, 0)]);
	const verifiedAt = await verified(catalogue, clock.now());
	const readAt = () => catalogue.state('docs').index?.manifest.readAt;
	await clock.advance(23 * 3_600_000);
	await maintenance.look();
	expect(readAt()).toBe(verifiedAt);
	await clock.advance(3_600_000);
	await maintenance.look();
	expect(readAt()).toBe(clock.now());
	for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
		if (!entry.parentPath.endsWith('data')) continue;
		const file = path.join(entry.parentPath, entry.name);
		const bytes = await readFile(file);
		bytes.write('j', bytes.indexOf('hull of ship 1'));
		await writeFile(file, bytes);
	}
	await clock.advance(12 * 3_600_000);
	await maintenance.look();
	expect(warnings).toEqual([]);
	await clock.advance(12 * 3_600_000);
	await maintenance.look();
	expect(warnings).toEqual([expect.stringContaining('its rows are not those that were verified')]);
	expect(catalogue.state('docs')).toMatchObject({ index: null, problem: { code: 'index_not_ready' } });
});
