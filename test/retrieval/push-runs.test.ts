import { expect, it } from 'vitest';
import { VirtualClock } from '../../src/base/virtual-clock.ts';
import { PushRuns } from '../../src/retrieval/push/push-runs.ts';
import { PlimsollError } from '../../src/spec/errors.ts';
import type { IngestReport } from '../../src/spec/retrieval.ts';

const REPORT: IngestReport = {
	runId: 'run_1',
	collection: 'docs',
	sources: [],
	embedding: null,
	generation: null,
	promoted: false,
	refused: null,
};

/** Runs that fail for as long as `down` says, and when each began. */
function failing() {
	const clock = new VirtualClock();
	const at: number[] = [];
	const state = { down: true, gone: false };
	const ingest = async () => {
		at.push(clock.monotonic());
		if (state.gone) throw new PlimsollError('collection_not_found', 'No collection is called docs.');
		if (state.down) throw new PlimsollError('source_unusable', 'It is down.');
		return REPORT;
	};
	const runs = new PushRuns({ clock, ids: (prefix) => `${prefix}_${at.length}`, ingester: { ingest } });
	const ask = () => runs.ask('docs', { batchMs: 0, accept: false });
	return { clock, at, state, runs, ask };
}

it('a run that failed is tried again, later each time, until one ends well', async () => {
	const { clock, at, state, ask } = failing();
	ask();
	await clock.advance(40_000);
	expect(at).toEqual([0, 5_000, 15_000, 35_000]);
	state.down = false;
	await clock.advance(3_600_000);
	expect(at).toEqual([0, 5_000, 15_000, 35_000, 75_000]);
});

it('however many runs fail, one is tried again; none is once one has ended well', async () => {
	const { clock, at, state, ask } = failing();
	for (let count = 0; count < 4; count++) {
		ask();
		await clock.advance(1_000);
	}
	await clock.advance(1_500);
	expect(at).toEqual([0, 1_000, 2_000, 3_000, 5_000]);
	state.down = false;
	ask();
	await clock.advance(3_600_000);
	expect(at).toEqual([0, 1_000, 2_000, 3_000, 5_000, 5_500]);
	expect(clock.pending).toBe(0);
});

it('a collection that left the configuration is not tried again until it is back', async () => {
	const { clock, at, state, runs, ask } = failing();
	const ended = ask().ended;
	await clock.advance(1_000);
	expect(await ended).toBe('It is down.');
	state.gone = true;
	await clock.advance(3_600_000);
	expect([at, clock.pending]).toEqual([[0, 5_000], 0]);
	runs.resume(() => false);
	await clock.advance(1);
	expect(at).toHaveLength(2);
	state.gone = false;
	state.down = false;
	runs.resume((collection) => collection === 'docs');
	await clock.advance(3_600_000);
	runs.resume(() => true);
	await clock.advance(3_600_000);
	expect([at, clock.pending]).toEqual([[0, 5_000, 3_601_001], 0]);
});

it('nothing is tried again once it is closed', async () => {
	const { clock, at, runs, ask } = failing();
	ask();
	await clock.advance(0);
	runs.close(new Error('closed'));
	await clock.advance(3_600_000);
	expect([at, clock.pending]).toEqual([[0], 0]);
});
