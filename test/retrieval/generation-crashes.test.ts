import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it } from 'vitest';
import type { CrashPoint } from '../support/crash-on.ts';
import {
	BUILTIN,
	collection,
	folderSource,
	openRetrievalFixture,
	RECORD_FILE,
	type RetrievalFixture,
	retrievalConfig,
} from '../support/retrieval-fixture.ts';

let fixture: RetrievalFixture;
afterEach(() => fixture.close());

const config = (dir: string) => collection([folderSource(dir)], { generations: { keep: 3 } });

/** Ingests in a process of its own, which dies at one step. */
async function ingestAndDie(crash: CrashPoint): Promise<void> {
	const script = fileURLToPath(new URL('../support/ingest-child.ts', import.meta.url));
	const child = spawn(process.execPath, [script], { stdio: ['pipe', 'ignore', 'inherit'] });
	const { root, dir } = fixture;
	const settings = { root, records: `${root}/${RECORD_FILE}`, collection: config(dir), embedder: BUILTIN, crash };
	child.stdin.end(`${JSON.stringify(settings)}\n`);
	expect(await once(child, 'exit')).toEqual([null, 'SIGKILL']);
}

describe('a process killed at any step of a build leaves one whole generation live, and the next run finishes', () => {
	it.each<CrashPoint>([
		{ part: 'generations', operation: 'begin', when: 'after' },
		{ part: 'writer', operation: 'write', when: 'before' },
		{ part: 'writer', operation: 'write', when: 'after' },
		{ part: 'writer', operation: 'seal', when: 'before' },
		{ part: 'writer', operation: 'seal', when: 'after' },
		{ part: 'generations', operation: 'put', when: 'after' },
		{ part: 'generations', operation: 'moves', when: 'before' },
		{ part: 'generations', operation: 'move', when: 'before' },
		{ part: 'generations', operation: 'move', when: 'after' },
	])('$when $operation of the $part', async (crash) => {
		fixture = await openRetrievalFixture((dir) => retrievalConfig([config(dir)]));
		await fixture.write({ 'a.md': 'The oak is a tree.' });
		const { generation: first } = await fixture.ingest();
		await fixture.write({ 'a.md': 'The oak is a bush.', 'b.md': 'Flax becomes linen.' });
		await ingestAndDie(crash);
		await fixture.restart();
		const moved = crash.operation === 'move' && crash.when === 'after';
		const between = await fixture.search('oak');
		expect(between.hits).toMatchObject([{ text: moved ? 'The oak is a bush.' : 'The oak is a tree.' }]);
		if (!moved) expect(between.generation).toBe(first);
		const states = (await fixture.records.generations.list('docs', 10)).map(({ state }) => state);
		expect(states).toEqual(moved ? ['live', 'retired'] : ['failed', 'live']);
		const report = await fixture.ingest();
		expect(report).toMatchObject({ generation: expect.stringMatching(/^docs-g2-/), promoted: !moved, refused: null });
		expect((await fixture.search('linen')).hits).toMatchObject([{ documentId: 'b.md' }]);
		const after = await fixture.records.generations.list('docs', 10);
		expect(after.map(({ state }) => state)).toEqual(['live', 'retired']);
		expect(after.map(({ documents }) => documents)).toEqual([2, 1]);
	});
});
