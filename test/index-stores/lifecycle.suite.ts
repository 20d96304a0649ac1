import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Clock, systemClock } from '../../src/base/clock.ts';
import { parseManifest } from '../../src/retrieval/manifest.ts';
import type { CrashPoint } from '../support/crash-on.ts';
import { openPlace, type SharedPlace } from '../support/index-writing-child.ts';
import type { ChildOutcome } from '../support/ingest-child.ts';
import {
	BUILTIN,
	collection,
	folderSource,
	openRetrievalFixture,
	RECORD_FILE,
	type RetrievalFixture,
	retrievalConfig,
} from '../support/retrieval-fixture.ts';

/** A place that is empty. */
interface Opened {
	readonly config: SharedPlace;
	/** Takes from a table what its readers need, as a disk or a person could. */
	harm(table: string): Promise<void>;
	end(): Promise<void>;
}

const CHILD = join(import.meta.dirname, '../support/ingest-child.ts');
const PAGES = { 'a.md': '# Oak\n\nThe oak is a tree.', 'b.md': '# Flax\n\nFlax becomes linen.' };
const HOUR_MS = 3_600_000;
const { signal } = new AbortController();
const ORDER = { collection: 'docs', actor: 'key:k1', why: 'on purpose', signal };

/** What generations go through, whatever engine holds them. */
export function lifecycleSuite(name: string, open: () => Promise<Opened>) {
	describe(`generations in ${name}`, () => {
		let opened: Opened;
		let keep = 3;
		const fixtures: RetrievalFixture[] = [];
		beforeEach(async () => {
			opened = await open();
			keep = 3;
		});
		afterEach(async () => {
			for (const fixture of fixtures.splice(0)) await fixture.close();
			await opened.end();
		});

		const docs = (dir: string) => collection([folderSource(dir)], { embedder: BUILTIN.name, generations: { keep } });

		/** A project of its own over the place. */
		async function started(clock: Clock = systemClock): Promise<RetrievalFixture> {
			const configure = (dir: string) => retrievalConfig([docs(dir)], [BUILTIN]);
			const fixture = await openRetrievalFixture(configure, clock, { openStore: () => openPlace(opened.config) });
			fixtures.push(fixture);
			await fixture.write(PAGES);
			return fixture;
		}

		async function tables(): Promise<string[]> {
			const store = openPlace(opened.config);
			await store.open();
			const names = await store.tables('docs-');
			store.close();
			return names;
		}

		const top = async (fixture: RetrievalFixture, query: string) =>
			(await fixture.search(query, { k: 1 })).hits[0]?.text.split('\n').at(-1);
		const states = async (fixture: RetrievalFixture) =>
			(await fixture.records.generations.list('docs', 10)).map(({ state }) => state);

		it('go forward and back, and what was rolled back does not come back by itself', async () => {
			const fixture = await started();
			const { index } = fixture.retrieval;
			const { generation: first } = await fixture.ingest();
			await fixture.write({ 'a.md': '# Oak\n\nThe oak is a bush.', 'c.md': '# Hemp\n\nHemp becomes rope.' });
			const { generation: second } = await fixture.ingest();
			expect(await top(fixture, 'oak')).toBe('The oak is a bush.');
			const diff = await index.diff('docs', first ?? '', second ?? '');
			expect(diff.documents).toMatchObject({
				added: { count: 1 },
				changed: { count: 1 },
				removed: { count: 0 },
				same: 1,
			});
			expect(await index.verify('docs', first ?? '', signal)).toMatchObject({ passed: true });
			await index.rollBack({ ...ORDER, generation: null });
			expect(await top(fixture, 'oak')).toBe('The oak is a tree.');
			expect((await fixture.search('hemp', { mode: 'lexical' })).hits).toEqual([]);
			expect(await fixture.ingest()).toMatchObject({ generation: first, promoted: false, refused: expect.anything() });
			expect([...fixture.alerts.keys()]).toEqual(['index_refused:docs']);
			await fixture.restart();
			expect(await fixture.search('oak')).toMatchObject({ generation: first });
			await fixture.retrieval.index.promote({ ...ORDER, generation: second ?? '' });
			expect([...fixture.alerts.keys()]).toEqual([]);
			expect(await top(fixture, 'rope of hemp')).toBe('Hemp becomes rope.');
		});

		it('are rebuilt beside the live one: the same leaves nothing behind, and another one goes live', async () => {
			const fixture = await started();
			const { ingester, index } = fixture.retrieval;
			const { generation } = await fixture.ingest();
			const before = await tables();
			expect(await ingester.ingest('docs', { signal, fresh: true })).toMatchObject({ generation, promoted: false });
			expect(await tables()).toEqual(before);
			await fixture.write({ 'c.md': 'Hemp becomes rope.' });
			const other = await ingester.ingest('docs', { signal, fresh: true });
			expect(other).toMatchObject({ promoted: true });
			expect(await tables()).toHaveLength(2);
			await fixture.write({ 'd.md': 'Jute becomes sacks.' });
			expect(await fixture.ingest()).toMatchObject({ promoted: true, sources: [{ new: 1, unchanged: 3, chunks: 1 }] });
			await index.rollBack({ ...ORDER, generation });
			expect(await top(fixture, 'flax')).toBe('Flax becomes linen.');
		});

		it('and builds that broke off go with gc, and what is kept can be searched', async () => {
			keep = 1;
			let ahead = 0;
			const fixture = await started({ ...systemClock, now: () => systemClock.now() + ahead });
			for (let run = 0; run < 4; run++) {
				await fixture.write({ 'a.md': `The oak is tree number ${run}.` });
				await fixture.ingest();
				ahead += HOUR_MS;
			}
			const left = new AbortController();
			const leave = () => left.abort(new Error('left'));
			await expect(
				fixture.retrieval.ingester.ingest('docs', { signal: left.signal, fresh: true, onProgress: leave }),
			).rejects.toThrow('left');
			expect(await tables()).toHaveLength(2);
			expect((await fixture.retrieval.index.collect('docs', signal)).tables).toHaveLength(1);
			const records = await fixture.records.generations.list('docs', 10);
			expect(records.map(({ removedAt }) => removedAt !== null)).toEqual([false, false, true, true]);
			const store = openPlace(opened.config);
			await store.open();
			for (const record of records) {
				const { table, version } = parseManifest(record);
				const read = store.freshReader({ table, version }).then((reader) => reader.readEverything());
				if (record.removedAt === null) expect(await read).toMatchObject({ rows: 2 });
				else await expect(read).rejects.toThrow();
			}
			store.close();
			expect(await top(fixture, 'oak')).toBe('The oak is tree number 3.');
			await fixture.retrieval.index.rollBack({ ...ORDER, generation: null });
			expect(await top(fixture, 'oak')).toBe('The oak is tree number 2.');
		});

		it('come one after the other, and the right ones are kept, also when the clock goes back', async () => {
			keep = 1;
			let offset = 0;
			const fixture = await started({ ...systemClock, now: () => systemClock.now() + offset });
			const built: (string | null)[] = [];
			for (const at of [0, -72, -48, -47]) {
				// It goes back between two builds, and in the middle of each.
				offset = at * HOUR_MS;
				await fixture.write({ 'a.md': `The oak was seen at ${at}.` });
				const onProgress = () => {
					offset = (at - 1) * HOUR_MS;
				};
				built.push((await fixture.ingest('docs', { onProgress })).generation);
				expect(await top(fixture, 'oak')).toBe(`The oak was seen at ${at}.`);
			}
			expect(built.map((generation) => /-g(\d)-/.exec(generation ?? '')?.[1])).toEqual(['1', '2', '3', '4']);
			offset = 72 * HOUR_MS;
			await fixture.retrieval.index.collect('docs', signal);
			const kept = (await fixture.records.generations.list('docs', 10)).filter(({ removedAt }) => removedAt === null);
			expect(kept.map(({ generation }) => generation)).toEqual([built[3], built[2]]);
			await fixture.retrieval.index.rollBack({ ...ORDER, generation: null });
			expect(await top(fixture, 'oak')).toBe('The oak was seen at -48.');
		});

		it('that are damaged leave their collection not ready, with an alert, until the next run', async () => {
			const fixture = await started();
			await fixture.ingest();
			// Twice: what was built anew in the place of a damaged one has its content and is not taken for rolled back.
			for (let time = 0; time < 2; time++) {
				for (const table of await tables()) await opened.harm(table);
				await fixture.restart();
				await expect(fixture.search('oak')).rejects.toMatchObject({ code: 'index_not_ready' });
				expect([...fixture.alerts.keys()]).toEqual(['index_damaged:docs']);
				expect(await fixture.ingest()).toMatchObject({ promoted: true, sources: [{ new: 2 }] });
				expect([...fixture.alerts.keys()]).toEqual([]);
			}
			expect(await top(fixture, 'oak')).toBe('The oak is a tree.');
		});

		/** Ingests in a process of its own. Null: it died. */
		async function ingestInChild({ root, dir }: RetrievalFixture, crash?: CrashPoint): Promise<ChildOutcome | null> {
			const child = spawn(process.execPath, [CHILD], { stdio: ['pipe', 'pipe', 'inherit'] });
			const place = opened.config;
			const settings = {
				root,
				records: join(root, RECORD_FILE),
				collection: docs(dir),
				embedder: BUILTIN,
				crash,
				place,
			};
			const ended = once(child, 'exit');
			child.stdin.end(`${JSON.stringify(settings)}\n`);
			const printed = await text(child.stdout);
			await ended;
			return printed === '' ? null : JSON.parse(printed);
		}

		it.each<CrashPoint>([
			{ part: 'writer', operation: 'write', when: 'after' },
			{ part: 'generations', operation: 'move', when: 'before' },
		])('stay whole when the process dies $when $operation of the $part', async (crash) => {
			const fixture = await started();
			const { generation: first } = await fixture.ingest();
			await fixture.write({ 'a.md': 'The oak is a bush.', 'c.md': 'Hemp becomes rope.' });
			expect(await ingestInChild(fixture, crash)).toBeNull();
			await fixture.restart();
			expect(await fixture.search('oak')).toMatchObject({ generation: first });
			expect(await top(fixture, 'oak')).toBe('The oak is a tree.');
			expect(await states(fixture)).toEqual(['failed', 'live']);
			expect(await fixture.ingest()).toMatchObject({ generation: expect.stringMatching(/^docs-g2-/), promoted: true });
			expect(await top(fixture, 'rope of hemp')).toBe('Hemp becomes rope.');
			expect(await states(fixture)).toEqual(['live', 'retired']);
		});

		it('of two builders at once lose nothing: each version is committed by one, and who meets the other is told', async () => {
			const [one, two] = [await started(), await started()];
			const many = (what: string) =>
				Object.fromEntries(Array.from({ length: 150 }, (_, n) => [`${n}.md`, `${what} number ${n}.`]));
			for (const builder of [one, two]) await builder.write(many('Page'));
			const outcomes = await Promise.all([ingestInChild(one), ingestInChild(two)]);
			const ends = outcomes.map((outcome) => (outcome && 'code' in outcome ? outcome.code : 'done'));
			// Both can meet each other's commits, and both then stop.
			for (const end of ends) expect(['done', 'index_conflict']).toContain(end);
			for (const builder of [one, two]) {
				await builder.restart();
				await builder.ingest();
				const { index } = builder.retrieval;
				const [live] = await builder.records.generations.live();
				expect(live).toMatchObject({ documents: 152, chunks: 152 });
				expect(await index.verify('docs', live?.generation ?? '', signal)).toMatchObject({ passed: true });
				expect(await top(builder, 'page number 149')).toBe('Page number 149.');
			}
		});
	});
}
