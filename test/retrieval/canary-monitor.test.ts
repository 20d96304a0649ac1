import { expect, it, onTestFinished } from 'vitest';
import { seededRandom } from '../../src/base/random.ts';
import { VirtualClock } from '../../src/base/virtual-clock.ts';
import { parseCanaries } from '../../src/contracts/canary.ts';
import type { CanarySet } from '../../src/contracts/canary-set.ts';
import { CanaryMonitor } from '../../src/retrieval/canary-monitor.ts';
import type { Alert } from '../../src/spec/alerts.ts';
import type { Retriever } from '../../src/spec/retrieval.ts';
import { openSqliteHealth } from '../../src/stores/sqlite-health.ts';
import { collection, folderSource, openRetrievalFixture, retrievalConfig } from '../support/retrieval-fixture.ts';

const DAY_MS = 86_400_000;
const WORDS = ['anchor', 'bilge', 'capstan', 'davit', 'ensign', 'fender', 'gunwale', 'halyard', 'jib', 'keel'];
const MORE = ['lanyard', 'mast', 'oar', 'port', 'quay', 'rudder', 'sextant', 'tiller', 'vane', 'windlass'];
const ALL = [...WORDS, ...MORE, 'yard', 'berth', 'cleat', 'deck', 'flag'];

function setOf(words: readonly string[], checks: Partial<CanarySet['checks']> = {}): CanarySet {
	const text = words
		.map((word) => JSON.stringify({ id: word, query: `What is a ${word}?`, documents: [`${word}.md`] }))
		.join('\n');
	return {
		collection: 'docs',
		checks: { required: true, everyMs: 900_000, k: 3, recallMin: 0.8, sample: 200, alpha: 0.001, ...checks },
		groups: [{ feature: 'ask', k: 3, recallMin: 0.8, canaries: parseCanaries({ file: 'c', text }, 'ask').value ?? [] }],
	};
}

/** A monitor over a real index of one document for each word; its searches can be made to fail. */
async function setUp(set = setOf(ALL)) {
	const fixture = await openRetrievalFixture((dir) => retrievalConfig([collection([folderSource(dir)])]));
	const write = (words: readonly string[]) =>
		fixture.write(
			Object.fromEntries(words.map((word) => [`${word}.md`, `# ${word}\n\nA ${word} is a part of a ship.\n`])),
		);
	await write(ALL);
	await fixture.ingest();
	const clock = new VirtualClock();
	const records = openSqliteHealth(':memory:');
	const open = new Map<string, Alert>();
	/** Words that no search finds any more, and whether searches answer at all. */
	const fault = { hidden: new Set<string>(), isSilent: false, isEmpty: false };
	const retriever: Pick<Retriever, 'search' | 'status'> = {
		status: () => {
			const all = fixture.retrieval.retriever.status();
			return fault.isEmpty ? all.map((one) => ({ ...one, documents: 0, chunks: 0 })) : all;
		},
		async search(request) {
			if (fault.isSilent) throw new Error('no answer within 2000 ms');
			const found = await fixture.retrieval.retriever.search(request);
			return { ...found, hits: found.hits.filter(({ documentId }) => !fault.hidden.has(documentId)) };
		},
	};
	const make = () =>
		new CanaryMonitor({
			retriever,
			records,
			alerts: {
				raise: (alert) => void open.set(alert.key, alert),
				resolve: (key) => void open.delete(key),
			},
			clock,
			random: seededRandom(1),
			warn: () => {},
			approximateRecall: async () => null,
		});
	const monitor = make();
	monitor.update(new Map([['docs', set]]));
	onTestFinished(async () => {
		await monitor.close();
		await records.close();
		await fixture.close();
	});
	const status = () => monitor.health()[0]?.status;
	/** Lets time pass, second by second, and whatever falls due end. */
	const pass = async (ms: number, step = 1_000) => {
		for (let left = ms; left > 0; left -= step) {
			await clock.advance(step);
			await monitor.settle();
		}
	};
	/** Lets time pass until something is so. */
	const until = async (isSo: () => boolean | Promise<boolean>, step: number) => {
		for (let turns = 0; turns < 2_000 && !(await isSo()); turns++) await pass(step, step);
		expect(await isSo()).toBe(true);
	};
	const hide = (words: readonly string[]) => {
		fault.hidden = new Set(words.map((word) => `${word}.md`));
	};
	return { fixture, monitor, make, records, open, fault, hide, clock, status, pass, until };
}

it('is pending until the checks of the start have passed, and puts the run on record', async () => {
	const { monitor, status, records } = await setUp();
	expect(status()).toBe('pending');
	monitor.start();
	await monitor.settle();
	expect(status()).toBe('passing');
	expect(await records.listCanaryRuns({ collection: 'docs', kind: null, limit: 9 })).toMatchObject([
		{ kind: 'start', queries: 25, unanswered: 0, verdict: 'passed', recall: { value: 1 }, missed: [] },
	]);
	expect((await records.canaryBaseline('docs'))?.outcomes).toHaveLength(25);
});

it('one failed run is an accident; the second, moments later, fails readiness and pages, and the first good one ends both', async () => {
	const { monitor, status, hide, pass, until, open } = await setUp();
	monitor.start();
	await monitor.settle();
	hide(ALL.slice(0, 10));
	await until(() => monitor.health()[0]?.lastRun?.verdict === 'failed', 4_000);
	hide([]);
	await pass(6_000);
	expect(status()).toBe('passing');
	expect(open.size).toBe(0);
	hide(ALL.slice(0, 10));
	await until(() => status() === 'failing', 4_000);
	expect(open.get('known_answers:docs')).toMatchObject({ severity: 'page', detail: { queries: 25 } });
	expect(open.get('known_answers:docs')?.message).toContain('15 of 25 known answers were found; the floor is 0.8');
	hide([]);
	await pass(61_000);
	expect(status()).toBe('passing');
	expect(open.has('known_answers:docs')).toBe(false);
});

it('a time-out fails nothing; an index that does not answer three times in a row does', async () => {
	const { monitor, status, fault, pass, until } = await setUp();
	monitor.start();
	await monitor.settle();
	fault.isSilent = true;
	await until(() => monitor.health()[0]?.lastRun?.verdict === 'inconclusive', 4_000);
	fault.isSilent = false;
	await pass(6_000);
	expect(status()).toBe('passing');
	fault.isSilent = true;
	await until(() => status() === 'failing', 4_000);
	expect(monitor.health()[0]?.why).toContain('25 went unanswered');
});

it('another live generation is checked at once', async () => {
	const { fixture, monitor, records, pass } = await setUp();
	monitor.start();
	await monitor.settle();
	await fixture.write({ 'new.md': '# News\n\nNothing of ships.\n' });
	const { generation } = await fixture.ingest();
	await pass(1_000);
	const [last] = await records.listCanaryRuns({ collection: 'docs', kind: 'promotion', limit: 1 });
	expect(last).toMatchObject({ generation, verdict: 'passed', comparison: { common: 25, lost: 0, dropped: false } });
	expect((await records.canaryBaseline('docs'))?.generation).toBe(generation);
});

it('the daily canary finds a drop above the floor, says so once it is confirmed, and is quiet when it was meant', async () => {
	const set = setOf(ALL, { recallMin: 0.1, everyMs: DAY_MS });
	const low = { ...set, groups: set.groups.map((group) => ({ ...group, recallMin: 0.1 })) };
	const { monitor, hide, until, open, records } = await setUp(low);
	const daily = () => records.listCanaryRuns({ collection: 'docs', kind: 'daily', limit: 9 });
	const made = (runs: number) => async () => (await daily()).length === runs;
	monitor.start();
	await monitor.settle();
	await until(made(1), 60_000);
	hide(ALL.slice(0, 14));
	await until(made(2), 300_000);
	expect(open.size).toBe(0);
	await until(made(3), 60_000);
	expect(open.get('recall_drop:docs')).toMatchObject({ severity: 'ticket', detail: { lost: 14, gained: 0 } });
	expect((await daily()).map(({ comparison }) => comparison?.dropped)).toEqual([true, true, false]);
	await monitor.accept('docs');
	expect(open.size).toBe(0);
	await until(made(4), 240_000);
	expect(open.size).toBe(0);
});

it('after a restart the daily canary is due when it was, not again', async () => {
	const { monitor, make, clock, pass, records } = await setUp();
	monitor.start();
	await monitor.settle();
	await pass(1_860_000, 60_000);
	const count = async () => (await records.listCanaryRuns({ collection: 'docs', kind: 'daily', limit: 99 })).length;
	expect(await count()).toBe(1);
	await monitor.close();
	const next = make();
	onTestFinished(() => next.close());
	next.update(new Map([['docs', setOf(ALL)]]));
	next.start();
	await next.settle();
	for (let minutes = 0; minutes < 60; minutes++) {
		await clock.advance(60_000);
		await next.settle();
	}
	expect(await count()).toBe(1);
});

it('too few canaries for a test are run and said to be too few', async () => {
	const { monitor, pass, records } = await setUp(setOf(WORDS));
	monitor.start();
	await monitor.settle();
	await pass(1_860_000, 60_000);
	const [daily] = await records.listCanaryRuns({ collection: 'docs', kind: 'daily', limit: 1 });
	expect(daily).toMatchObject({ queries: 10, comparison: null, verdict: 'passed' });
	expect(daily?.why).toContain('too few to tell a drop from chance');
});

it('an empty live index fails closed where that is required, and pages', async () => {
	const { monitor, fault, pass, open } = await setUp();
	monitor.start();
	await monitor.settle();
	fault.isEmpty = true;
	await pass(2_000);
	expect(monitor.health()).toMatchObject([{ status: 'empty', required: true, why: 'its live index is empty' }]);
	expect(open.get('index_empty:docs')).toMatchObject({ severity: 'page' });
	fault.isEmpty = false;
	await pass(1_000);
	expect(open.size).toBe(0);
});

it('a canary whose documents the index does not hold is missed by name, not an error', async () => {
	const { monitor } = await setUp(setOf([...ALL, 'zeppelin']));
	expect(await monitor.run('docs')).toMatchObject({ verdict: 'passed', missed: ['ask/zeppelin'], queries: 26 });
	await expect(monitor.run('none')).rejects.toMatchObject({ code: 'collection_not_found' });
	monitor.update(new Map([['docs', { ...setOf(ALL), groups: [] }]]));
	await expect(monitor.run('docs')).rejects.toMatchObject({ code: 'canaries_missing' });
	expect(monitor.health()[0]?.status).toBe('unchecked');
});
