import { afterEach, expect, it } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { VirtualClock } from '../../src/base/virtual-clock.ts';
import { NO_META } from '../../src/retrieval/document-meta.ts';
import { DocumentReader, type DocumentTask } from '../../src/retrieval/document-reader.ts';
import { chunkerConfig } from '../support/chunker-config.ts';
import { ingestion } from '../support/retrieval-fixture.ts';

const readers: DocumentReader[] = [];

function reader(clock = new VirtualClock()): DocumentReader {
	const made = new DocumentReader(clock);
	readers.push(made);
	return made;
}

afterEach(async () => {
	for (const made of readers.splice(0)) await made.close();
});

const task = (text: string): DocumentTask => ({
	document: { id: 'a.md', format: 'markdown', bytes: Buffer.from(text), title: 'a', meta: NO_META },
	chunker: chunkerConfig({ tokensMax: 100, tokensMin: 10 }),
	rules: ingestion().documents,
	now: 0,
});
const never = new AbortController().signal;

/** Nested quotes cost a Markdown parser time that grows with the square of their depth: minutes for this one. */
const HOSTILE = task('>'.repeat(200_000));

it('reads one document after the other', async () => {
	const one = reader();
	for (const word of ['first', 'second', 'third']) {
		expect(await one.read(task(`# ${word}`), never)).toMatchObject({ ok: true, chunked: { title: word } });
	}
});

it('gives up a document that takes too long, and reads the next one', async () => {
	const clock = new VirtualClock();
	const one = reader(clock);
	const stalled = one.read(HOSTILE, never);
	await clock.advance(60_000);
	expect(await stalled).toEqual({ ok: false, reason: 'reading it took longer than 60 s' });
	expect(await one.read(task('# Next'), never)).toMatchObject({ ok: true });
	expect(clock.pending).toBe(0);
});

it('stops at once when the run is cancelled', async () => {
	const controller = new AbortController();
	const stalled = reader().read(HOSTILE, controller.signal);
	controller.abort(new Error('cancelled'));
	await expect(stalled).rejects.toThrow('cancelled');
});

it('leaves the event loop free while it reads', async () => {
	const one = reader();
	const controller = new AbortController();
	const stalled = one.read(HOSTILE, controller.signal);
	let turns = 0;
	const started = systemClock.monotonic();
	while (turns < 1_000) await new Promise((resolve) => setImmediate(resolve)).then(() => turns++);
	expect(systemClock.monotonic()).toBeGreaterThan(started);
	controller.abort(new Error('enough'));
	await expect(stalled).rejects.toThrow('enough');
});
