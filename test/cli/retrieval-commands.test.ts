import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createProject } from '../../src/app/new-project.ts';
import { json, jsonLines, plimsoll, type Running, startPlimsoll } from '../support/cli-process.ts';

/** A code word for each page: more than `documents_min` of the checks, so that a loss among them counts. */
const WORDS =
	'amber birch cedar dune ember fjord glacier hazel indigo juniper kelp lagoon marble nectar opal pebble quartz reed saffron thistle umbra violet walnut zephyr'.split(
		' ',
	);

let cwd = '';
let server: Running;

const run = (...args: string[]) => plimsoll(args, { cwd });
/** What a command prints as JSON, with its exit status. */
async function told(...args: string[]): Promise<Record<string, unknown>> {
	const ended = await run(...args, '--json');
	return { code: ended.code, ...jsonLines(ended).at(-1) };
}
const word = (n: number) => WORDS[n % WORDS.length];
const page = (n: number, more = '') =>
	`---\nproduct: ${n % 2 === 0 ? 'ship' : 'barge'}\n${more}---\n# Page ${n}\n\nThe watchman whispers ${word(n)} while the bells of ${word(n + 7)} and ${word(n + 11)} ring out at night.\n`;
const write = (n: number, text: string) => writeFile(join(cwd, 'pages', `p${n}.md`), text);
const writeAll = (more = '') => Promise.all(WORDS.map((_, n) => write(n, page(n, more))));
const states = async () => {
	const { generations } = (await told('index', 'list', 'pages')) as {
		generations: { sequence: number; state: string }[];
	};
	return generations.map(({ sequence, state }) => `g${sequence} ${state}`);
};

beforeAll(async () => {
	cwd = await mkdtemp(join(tmpdir(), 'plimsoll-retrieval-'));
	await createProject(cwd);
	await mkdir(join(cwd, 'pages'));
	await writeAll('price: 7\n');
	const canaries = WORDS.slice(0, 20).map((word, n) => ({
		id: word,
		query: `who whispers ${word}`,
		documents: [`p${n}.md`],
	}));
	await writeFile(join(cwd, 'canaries.jsonl'), canaries.map((canary) => JSON.stringify(canary)).join('\n'));
	const file = join(cwd, 'plimsoll.yaml');
	const settings = await readFile(file, 'utf8');
	await writeFile(
		file,
		settings.replace(
			'collections:\n',
			`embedders:
  words: {family: builtin, dimensions: 64}
collections:
  pages:
    sources:
      own: {kind: folder, path: pages}
    embedder: words
    canaries: canaries.jsonl
    documents:
      fields: {product: {type: text, required: true, one_of: [ship, barge]}, price: {type: number}}
`,
		),
	);
	server = startPlimsoll(['start', '--port', '0'], { cwd });
	await server.saw(/Ctrl-C stops/);
});
afterAll(async () => {
	await server.kill();
	await rm(cwd, { recursive: true, force: true });
});

test('a document that does not fit is listed, let stay out, and read again when that is asked for', async () => {
	await write(3, page(3).replace('barge', 'plane'));
	expect(await told('ingest', 'pages')).toMatchObject({
		code: 0,
		report: { sources: [{ quarantined: 1, unchanged: 23 }] },
	});
	const list = (await told('quarantine', 'list', 'pages')) as { documents: { id: string }[] };
	expect(list).toMatchObject({
		code: 0,
		documents: [{ document: 'p3.md', reasons: ['the field product is "plane", not one of ship, barge'], kept: true }],
	});
	const id = list.documents[0]?.id ?? '';
	expect(await told('quarantine', 'show', 'pages', id)).toMatchObject({ code: 0, document: 'p3.md', state: 'held' });
	expect(await run('quarantine', 'drop', 'pages', id)).toMatchObject({ code: 0 });
	expect(await told('quarantine', 'list', 'pages')).toMatchObject({ documents: [], count: { held: 0, dropped: 1 } });
	expect(await run('quarantine', 'retry', 'pages', id)).toMatchObject({ code: 0 });
	expect(await told('quarantine', 'list', 'pages')).toMatchObject({ count: { retry: 1, dropped: 0 } });
	await write(3, page(3, 'price: 7\n'));
	expect(await told('ingest', 'pages')).toMatchObject({ code: 0, report: { sources: [{ quarantined: 0 }] } });
	expect(await told('quarantine', 'show', 'pages', id)).toMatchObject({
		code: 4,
		error: { code: 'quarantine_entry_not_found' },
	});
});

test('a refused generation is told, compared, promoted by hand, rolled back and looked after', async () => {
	await writeAll();
	const refused = await run('ingest', 'pages');
	expect(refused.code).toBe(1);
	expect(refused.stderr).toMatch(
		/refused pages-g\d+-\w+\n {4}statistics: own: 0\.0 % of the documents have the field price/,
	);
	const [refusedOne = '', live = ''] = (await states()).map((state) => state.split(' ')[0] ?? '');
	expect(await states()).toEqual(expect.arrayContaining([`${refusedOne} refused`, `${live} live`]));
	expect(await told('index', 'diff', 'pages', live, refusedOne)).toMatchObject({ code: 1 });
	expect(await told('index', 'verify', 'pages', refusedOne)).toMatchObject({ code: 1 });
	expect(await told('index', 'verify', 'pages', live)).toMatchObject({ code: 0 });

	const alerts = (await told('alerts', 'list')) as { alerts: { id: string; key: string }[] };
	expect(alerts.alerts.map(({ key }) => key)).toEqual(['index_refused:pages']);
	const alert = alerts.alerts[0]?.id ?? '';
	expect(await run('alerts', 'acknowledge', alert)).toMatchObject({ code: 0 });
	expect(await told('alerts', 'list')).toMatchObject({ alerts: [{ id: alert, acknowledged_by: expect.any(String) }] });

	expect(await run('index', 'promote', 'pages', refusedOne, '--why', 'no prices any more')).toMatchObject({ code: 0 });
	expect(await states()).toEqual(expect.arrayContaining([`${refusedOne} live`, `${live} retired`]));
	expect(await told('alerts', 'list')).toMatchObject({ alerts: [] });
	expect(await run('index', 'rollback', 'pages', '--why', 'prices are missed')).toMatchObject({ code: 0 });
	expect(await states()).toEqual(expect.arrayContaining([`${live} live`, `${refusedOne} retired`]));
	expect((await run('ingest', 'pages')).stderr).toMatch(/rolled_back: .*prices are missed/);
	const audit = (await run('audit')).stdout;
	expect(audit).toMatch(/generation rolled back.*prices are missed/);
	expect(audit).toMatch(/generation promoted.*no prices any more/);

	const again = (await told('alerts', 'list')) as { alerts: { id: string }[] };
	expect(await run('alerts', 'close', again.alerts[0]?.id ?? '')).toMatchObject({ code: 0 });
	expect(await told('alerts', 'list', '--all')).toMatchObject({
		alerts: expect.arrayContaining([expect.objectContaining({ id: alert, resolved_at: expect.any(String) })]),
	});
});

test('a rebuild says what it takes, comes to the same and promotes nothing', async () => {
	await writeAll('price: 7\n');
	expect(await told('ingest', 'pages')).toMatchObject({ code: 0 });
	const before = await states();
	expect(await told('index', 'rebuild', 'pages', '--dry-run')).toMatchObject({ code: 0 });
	expect(await states()).toEqual(before);
	expect((await run('index', 'rebuild', 'pages')).code).toBe(0);
	expect((await states()).filter((state) => state.endsWith('live'))).toEqual(
		before.filter((state) => state.endsWith('live')),
	);
	expect(await run('index', 'gc', 'pages')).toMatchObject({ code: 0 });
	const shown = await run(
		'index',
		'show',
		'pages',
		before.find((state) => state.endsWith('live'))?.split(' ')[0] ?? '',
	);
	expect(shown.stdout).toMatch(/passed {2}conservation/);
});

test('canaries are run, kept, accepted and suggested', async () => {
	const ran = await run('canary');
	expect(ran).toMatchObject({ code: 0, stdout: expect.stringMatching(/pages +manual +pages-g\d+-\w+ +20 +100\.0 %/) });
	expect((await run('canary', 'history', 'pages')).stdout).toMatch(/ start .*\n?/);
	expect(await run('canary', 'accept', 'pages')).toMatchObject({ code: 0 });
	const out = join(cwd, 'suggested.jsonl');
	expect(await run('canary', 'suggest', 'pages', '--count', '2', '--out', out)).toMatchObject({ code: 0 });
	expect(jsonLines({ stdout: await readFile(out, 'utf8') })).toEqual([
		expect.objectContaining({ query: expect.any(String), documents: [expect.stringMatching(/^p\d+\.md$/)] }),
		expect.objectContaining({ query: expect.any(String), documents: [expect.stringMatching(/^p\d+\.md$/)] }),
	]);
	expect(await run('canary', 'run', 'nope')).toMatchObject({ code: 4 });
});

test('embedders are shown and measured, and the deployment is well', async () => {
	expect((await run('embedders')).stdout).toMatch(/^words .* pages +the same/m);
	expect(await run('embedders', 'check', 'words')).toMatchObject({ code: 0 });
	expect(await told('embedders', 'check', 'word')).toMatchObject({
		code: 4,
		error: { code: 'model_not_found', message: expect.stringContaining('Did you mean words?') },
	});
	const doctor = await run('doctor');
	expect(doctor).toMatchObject({ code: 0, stdout: expect.stringMatching(/^ok +embedder words: measured/m) });
	expect(doctor.stdout).toMatch(/^ok +server: http:\S+ answers/m);
	expect(json(await run('index', 'list', 'pages', '--json'))).toMatchObject({ generations: expect.any(Array) });
});
