import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createProject } from '../../src/app/new-project.ts';
import { json, jsonLines, plimsoll, type Running, startPlimsoll } from '../support/cli-process.ts';

let cwd = '';
let server: Running | null = null;

async function start(): Promise<{ url: string; key: string }> {
	server = startPlimsoll(['start', '--port', '0'], { cwd });
	const [, url = ''] = await server.saw(/listens on (http:\S+)/);
	await server.saw(/Ctrl-C stops/);
	return { url, key: (await readFile(join(cwd, '.plimsoll', 'development-key'), 'utf8')).trim() };
}

async function send(
	{ url, key }: { url: string; key: string },
	path: string,
	{ method = 'POST', type = 'application/json', body }: { method?: string; type?: string; body?: string } = {},
) {
	const headers = { authorization: `Bearer ${key}`, ...(body === undefined ? {} : { 'content-type': type }) };
	const response = await fetch(`${url}/admin/collections/notes/${path}`, { method, headers, body: body ?? null });
	return { status: response.status, body: (await response.json()) as Record<string, unknown> };
}

const found = async (query: string) => {
	const { hits } = json(await plimsoll(['search', 'notes', query, '--json'], { cwd })) as {
		hits: { document: string }[];
	};
	return hits.map(({ document }) => document);
};

beforeEach(async () => {
	cwd = await mkdtemp(join(tmpdir(), 'plimsoll-documents-'));
	await createProject(cwd);
	const file = join(cwd, 'plimsoll.yaml');
	const settings = await readFile(file, 'utf8');
	const notes = 'collections:\n  notes:\n    sources:\n      sent: {kind: push, batch_ms: 1000}\n';
	await writeFile(file, settings.replace('collections:\n', notes));
});
afterEach(async () => {
	await server?.kill();
	server = null;
	await rm(cwd, { recursive: true, force: true });
});

test('what was acknowledged is there after kill -9, though no run had read it', async () => {
	const file = join(cwd, 'plimsoll.yaml');
	await writeFile(file, (await readFile(file, 'utf8')).replace('batch_ms: 1000', 'batch_ms: 600000'));
	const first = await start();
	const sent = await send(first, 'documents', { body: '{"id": "a/1", "text": "The oak is a tree."}' });
	expect(sent).toMatchObject({ status: 202, body: { done: false, documents: [{ id: 'a/1', state: 'pending' }] } });
	// Large enough for the thread that reads bodies.
	const text = 'Flax becomes linen. '.repeat(50);
	const many = Array.from({ length: 100 }, (_, n) => JSON.stringify({ id: `m/${n}`, text: `${n} ${text}` })).join('\n');
	const more = await send(first, 'documents', { type: 'application/x-ndjson', body: `${many}\n{"id": "odd"` });
	expect(more).toMatchObject({ status: 202, body: { refused: 1 } });
	expect(more.body.documents).toHaveLength(101);
	await server?.kill();
	const again = await start();
	expect(await send(again, 'documents/a%2F1', { method: 'GET' })).toMatchObject({
		status: 200,
		body: { state: 'live' },
	});
	expect(await send(again, 'documents/m%2F99', { method: 'GET' })).toMatchObject({ body: { state: 'live' } });
	expect(await found('oak')).toEqual(['a/1']);
});

test('a server takes one document, a list and lines, and says of each what became of it', async () => {
	const to = await start();
	const one = await send(to, 'documents?wait=true', { body: '{"id": "a", "text": "The oak is a tree."}' });
	expect(one).toMatchObject({
		status: 200,
		body: { done: true, documents: [{ id: 'a', outcome: 'new', state: 'live' }] },
	});
	const alone = await send(to, 'documents', { body: '{"id": "b", "text": " "}' });
	expect(alone).toMatchObject({ status: 422, body: { error: { code: 'document_refused' } } });
	const lines =
		'{"id": "b", "text": "Flax becomes linen."}\nno json\n{"id": "c", "texts": "x"}\n\n{"id": "b", "text": "Flax becomes linen."}';
	const many = await send(to, 'documents?wait=true', { type: 'application/x-ndjson', body: lines });
	expect(many).toMatchObject({
		status: 200,
		body: {
			refused: 2,
			documents: [
				{ id: 'b', outcome: 'new', state: 'live' },
				{ id: 'line 2', outcome: 'refused', code: 'malformed' },
				{ id: 'c', outcome: 'refused', reasons: [expect.stringContaining('texts is not known here')] },
				{ id: 'b', outcome: 'unchanged', state: 'live' },
			],
		},
	});
	const elsewhere = await send(to, 'documents/delete', { type: 'application/x-ndjson', body: lines });
	expect(elsewhere).toMatchObject({ status: 400, body: { error: { code: 'request_invalid' } } });
	const tooMany = JSON.stringify(Array.from({ length: 1_001 }, (_, id) => ({ id: `${id}`, text: 'x' })));
	expect(await send(to, 'documents', { body: tooMany })).toMatchObject({ status: 413 });
	const gone = await send(to, 'documents/a?wait=true', { method: 'DELETE' });
	expect(gone).toMatchObject({ status: 200, body: { documents: [{ id: 'a', outcome: 'deleted' }] } });
	const run = await send(to, `runs/${gone.body.run}`, { method: 'GET' });
	expect(run).toMatchObject({
		status: 200,
		body: { state: 'succeeded', generation: expect.stringMatching(/^notes-g/) },
	});

	const purged = await plimsoll(['documents', 'purge', 'notes', 'b', '--why', 'asked for', '--json'], { cwd });
	expect(json(purged)).toMatchObject({ purged: 1, done: true });
	expect(await found('oak linen')).toEqual([]);
	const log = JSON.stringify(json(await plimsoll(['audit', '--json'], { cwd })));
	expect(log).toContain('documents_purged');
	expect((await plimsoll(['documents', 'list', 'docs'], { cwd })).stderr).toContain('(push_source_unknown)');
});

test('commands work on a project whose server does not run', async () => {
	await writeFile(join(cwd, 'oak.md'), '# Oak\n\nThe oak is a tree.\n');
	await writeFile(
		join(cwd, 'many.jsonl'),
		'{"id": "flax", "text": "Flax becomes linen."}\n{"id": "none", "text": ""}\n',
	);
	const [stored] = jsonLines(await plimsoll(['documents', 'push', 'notes', 'oak.md', '--no-wait', '--json'], { cwd }));
	expect(stored).toMatchObject({ done: false, documents: [{ id: 'oak.md', outcome: 'new', state: 'pending' }] });
	const pushed = await plimsoll(['documents', 'push', 'notes', 'many.jsonl'], { cwd });
	expect(pushed.code).toBe(1);
	expect(pushed.stderr).toContain('refused none: it has no text');
	expect(pushed.stdout).toContain('1 new, 1 refused; the index holds them');
	expect((await found('oak linen')).sort()).toEqual(['flax', 'oak.md']);
	const listed = json(await plimsoll(['documents', 'list', 'notes', '--json'], { cwd }));
	expect(listed).toMatchObject({
		documents: [
			{ id: 'flax', state: 'live' },
			{ id: 'oak.md', state: 'live' },
		],
		next: null,
	});
	expect((await plimsoll(['documents', 'delete', 'notes', 'flax'], { cwd })).stdout).toContain('1 deleted');
	expect((await plimsoll(['documents', 'purge', 'notes', '--all', '--why', 'over'], { cwd })).stdout).toContain(
		'1 document',
	);
	expect(await found('oak')).toEqual([]);
	expect((await plimsoll(['documents', 'purge', 'notes', '--why', 'x'], { cwd })).code).toBe(2);
});

test('what a collection leaves that was taken out of the configuration is shown, and can be erased', async () => {
	const none = await plimsoll(['documents', 'stored'], { cwd });
	expect([none.stdout, none.stderr]).toEqual(['', expect.stringContaining('No pushed document is stored.')]);
	await writeFile(join(cwd, 'oak.md'), '# Oak\n\nThe oak is a tree.\n');
	await plimsoll(['documents', 'push', 'notes', 'oak.md'], { cwd });
	const file = join(cwd, 'plimsoll.yaml');
	const settings = await readFile(file, 'utf8');
	await writeFile(file, settings.replace(/ {2}notes:\n {4}sources:\n {6}sent: .*\n/, ''));
	const { url, key } = await start();
	expect((await plimsoll(['documents', 'stored'], { cwd })).stdout).toMatch(/notes +sent +1 +\d+ +no/);
	const { stdout } = await plimsoll(['doctor'], { cwd });
	expect(stdout).toContain('sent of notes is not in the configuration, and 1 documents of it are stored');
	expect(stdout).toContain('plimsoll documents purge notes --source sent --all --why');
	const one = await plimsoll(['documents', 'purge', 'notes', 'oak.md', '--why', 'over'], { cwd });
	expect([one.code, one.stderr]).toEqual([expect.any(Number), expect.stringContaining('only all of a source')]);
	const purged = await plimsoll(['documents', 'purge', 'notes', '--source', 'sent', '--all', '--why', 'over'], { cwd });
	expect(purged).toMatchObject({ code: 0, stdout: expect.stringContaining('1 document of sent purged') });
	const left = await fetch(`${url}/admin/documents`, { headers: { authorization: `Bearer ${key}` } });
	expect(await left.json()).toEqual({ sources: [] });
	expect(JSON.stringify(json(await plimsoll(['audit', '--json'], { cwd })))).toContain('documents_purged');
});
