import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import pino from 'pino';
import { describe, expect, it, onTestFinished } from 'vitest';
import { createRuntime } from '../../src/app/create-runtime.ts';
import { FeedbackBook } from '../../src/app/feedback.ts';
import { serve } from '../../src/app/serve.ts';
import { VirtualClock } from '../../src/base/virtual-clock.ts';
import type { Feedback, FeedbackQuery } from '../../src/spec/feedback.ts';
import { openSqliteRecords } from '../../src/stores/sqlite.ts';
import { projectFolder, VALID_PROJECT } from '../support/project-folder.ts';
import { MetricsPage } from '../support/prometheus-text.ts';

const EVENTS = { onIngestProgress() {}, onIngested() {}, onIngestFailed() {}, onReloaded() {}, onReloadRefused() {} };
const DOC = '# Load lines\n\nA load line is a mark on the hull of a ship that says how deep it may lie.\n';
const QUESTION = 'What is a load line?';

/** A server over one document, and what a caller needs of it. */
async function startProject(settings: string) {
	const dir = await projectFolder({
		...VALID_PROJECT,
		'plimsoll.yaml': `${VALID_PROJECT['plimsoll.yaml']}${settings}`,
		'docs/a.md': DOC,
	});
	const server = await serve({ dir, port: 0 }, { log: pino({ level: 'silent' }), events: EVENTS });
	onTestFinished(() => server.stop());
	await server.firstIngest;
	const root = server.developmentKey.secret;
	const send = async (method: string, path: string, { key = root, body, headers = {} }: Sent = {}) => {
		const response = await fetch(server.url + path, {
			method,
			headers: { authorization: `Bearer ${key}`, ...(body && { 'content-type': 'application/json' }), ...headers },
			body: body ? JSON.stringify(body) : null,
		});
		const text = await response.text();
		return {
			status: response.status,
			text,
			headers: response.headers,
			body: text.startsWith('{') ? JSON.parse(text) : null,
		};
	};
	const newKey = async (ask: object): Promise<string> =>
		(await send('POST', '/admin/keys', { body: { name: 'test', scopes: ['invoke', 'read'], ...ask } })).body.secret;
	const ask = async (key: string, user: string | null = null): Promise<string> => {
		const body = { model: 'ask', messages: [{ role: 'user', content: QUESTION }], user };
		const reply = await send('POST', '/v1/chat/completions', { key, body });
		expect(reply.status).toBe(200);
		return reply.body.id;
	};
	return { server, dir, send, newKey, ask };
}

interface Sent {
	readonly key?: string;
	readonly body?: object;
	readonly headers?: Record<string, string>;
}

describe('a rating over HTTP', () => {
	it('is kept with what its request was, replaced by the same user, and seen by whoever sees the trace', async () => {
		const { send, newKey, ask } = await startProject('feedback: {text_retention_days: 30}\n');
		const key = await newKey({ tenant: 'acme' });
		const id = await ask(key, 'ann');
		const rate = (body: object, headers?: Record<string, string>) =>
			send('POST', '/v1/feedback', { key, body: { request_id: id, ...body }, ...(headers && { headers }) });
		const first = await rate({ rating: 'down', comment: 'too short', label: 'too_short' });
		expect(first).toMatchObject({
			status: 200,
			body: { request_id: id, rating: 'down', score: 0, texts_kept: true },
		});
		// The same user, whom the request itself named; and another one.
		expect((await rate({ rating: 'up', question: QUESTION, user: 'ann' })).status).toBe(200);
		expect((await rate({ score: 0.25, user: 'bob' })).body).toMatchObject({ rating: 'down', texts_kept: null });
		const { feedback } = (await send('GET', `/admin/traces/${id}`, { key })).body;
		expect(feedback).toMatchObject([
			{ rating: 'down', score: 0.25, tenant: 'acme', feature: 'ask', collection: 'docs' },
			{ rating: 'up', score: 1, question: QUESTION, comment: null, label: null },
		]);
		expect(feedback[0].rater).not.toBe(feedback[1].rater);
		expect(JSON.stringify(feedback)).not.toMatch(/ann|bob/);

		// Canaries are proposed of questions of a tenant that is named, and never of another one's by itself.
		const suggest = async (body: object) =>
			(await send('POST', '/admin/collections/docs/canaries/suggest', { body })).body;
		expect(await suggest({ tenant: 'acme' })).toMatchObject({
			traffic: { tenant: 'acme', questions: 1 },
			suggestions: [
				{ canary: { query: QUESTION, documents: ['a.md'] }, method: 'traffic', traffic: { up: 1, down: 0 } },
			],
		});
		expect(JSON.stringify(await suggest({}))).not.toContain(QUESTION);
		expect((await suggest({ tenant: null })).traffic).toBe(null);

		// A repeated key is executed once.
		const keyed = { 'idempotency-key': 'thumb-1' };
		await rate({ rating: 'down', user: 'cid' }, keyed);
		const again = await rate({ rating: 'down', user: 'cid' }, keyed);
		expect(again.headers.get('idempotency-replayed')).toBe('true');
		const page = new MetricsPage((await send('GET', '/metrics')).text);
		const counted = page.families.get('plimsoll_feedback_total')?.samples.map(({ labels, value }) => [labels, value]);
		expect(counted).toEqual([
			[{ feature: 'ask', rating: 'down' }, 3],
			[{ feature: 'ask', rating: 'up' }, 1],
		]);
		// The request that rates is none of the feature's.
		const asked = page.families
			.get('plimsoll_requests_total')
			?.samples.filter(({ labels }) => labels.feature === 'ask');
		expect(asked?.map(({ value }) => value)).toEqual([1]);
	});

	it('answers alike for requests that are unknown, another tenant’s, or of a feature the key may not call', async () => {
		const { send, newKey, ask } = await startProject('');
		const [acme, beta] = [await newKey({ tenant: 'acme' }), await newKey({ tenant: 'beta' })];
		const held = await newKey({ tenant: 'acme', features: ['another'] });
		const id = await ask(acme);
		const searched = (await send('POST', '/v1/collections/docs/search', { key: acme, body: { query: 'line' } })).body
			.request_id;
		const unknown = 'req_00000000000000000000000000';
		const rate = async (key: string, request: string) => {
			const { status, body } = await send('POST', '/v1/feedback', { key, body: { request_id: request, rating: 'up' } });
			if (status === 200) return 'taken';
			const { request_id: _, ...error } = body.error;
			return JSON.stringify(error).replaceAll(request, '<id>');
		};
		const refusal = await rate(acme, unknown);
		expect(refusal).toContain('trace_not_found');
		const rating = await send('POST', '/v1/feedback', { key: acme, body: { request_id: id, rating: 'up' } });
		const ratingId = rating.headers.get('x-request-id') ?? '';
		for (const [key, request] of [
			[beta, id],
			[beta, searched],
			[held, id],
			[held, searched],
			[acme, 'x'],
			// A rating answers nothing that could be rated.
			[acme, ratingId],
		] as const)
			expect(await rate(key, request)).toBe(refusal);
		expect(await rate(acme, searched)).toBe('taken');
		expect((await send('GET', '/admin/feedback?tenant=acme', { key: beta })).body.error.code).toBe('scope_missing');
		expect((await send('GET', '/admin/feedback', { key: beta })).body).toEqual({ feedback: [] });
	});

	it.each([
		[{}, 'rating'],
		[{ rating: 'up', score: 1 }, 'rating'],
		[{ rating: 'good' }, 'rating'],
		[{ score: 1.5 }, 'score'],
		[{ rating: 'up', label: 'two words' }, 'label'],
		[{ rating: 'up', comment: 'x'.repeat(4_001) }, 'comment'],
		[{ rating: 'up', passages: Array.from({ length: 51 }, () => 'x') }, 'passages'],
		[{ rating: 'up', coment: 'x' }, 'coment'],
	])('that is wrong is refused by its field: %j', async (body, param) => {
		const { feedbackAsk, FeedbackBody } = await import('../../src/gateway/feedback-routes.ts');
		const { checkBody } = await import('../../src/gateway/json-body.ts');
		const read = () => feedbackAsk(checkBody(FeedbackBody, { request_id: 'req_1', ...body }));
		expect(read).toThrow(expect.objectContaining({ code: 'request_invalid', param }));
	});

	it('keeps no text unless the project says so, and goes for good with its user or its tenant', async () => {
		const { send, newKey, ask, server } = await startProject('');
		const key = await newKey({ tenant: 'acme' });
		const id = await ask(key);
		const secret = 'an unmistakable sentence';
		const rate = (user: string) =>
			send('POST', '/v1/feedback', {
				key,
				body: { request_id: id, rating: 'up', comment: secret, question: secret, corrected_answer: secret, user },
			});
		expect((await rate('ann')).body.texts_kept).toBe(false);
		await rate('bob');
		const list = async () => (await send('GET', '/admin/feedback')).body.feedback;
		expect(await list()).toMatchObject([{ comment: null, question: null, corrected_answer: null }, {}]);
		expect((await send('DELETE', '/admin/feedback')).body.error.param).toBe('tenant');
		expect((await send('DELETE', '/admin/feedback?tenant=acme&user=ann')).body).toEqual({ removed: 1 });
		expect(await list()).toHaveLength(1);
		const { entries } = (await send('GET', '/admin/audit?limit=1')).body;
		expect(entries).toMatchObject([{ action: 'feedback_deleted', tenant: 'acme', detail: { ratings: 1 } }]);
		expect(JSON.stringify(entries)).not.toContain('ann');
		await server.services.tenants.remove({ kind: 'tenant', name: 'acme', ifVersion: null }, 'process');
		expect(await list()).toEqual([]);
	});
});

it('a rating in process is what it is over HTTP', async () => {
	const dir = await projectFolder({ ...VALID_PROJECT, 'docs/a.md': DOC });
	const plimsoll = await createRuntime({ dir, env: {}, log: pino({ level: 'silent' }) });
	onTestFinished(() => plimsoll.close());
	await plimsoll.ingest('docs');
	const { requestId } = await plimsoll.ask('ask', { question: QUESTION });
	expect(await plimsoll.rate(requestId, { score: 0.5, comment: 'so so' })).toEqual({
		rating: 'neutral',
		score: 0.5,
		textsKept: false,
	});
	await expect(plimsoll.rate('req_none', { rating: 'up' })).rejects.toMatchObject({ code: 'trace_not_found' });
	await expect(plimsoll.rate(requestId, {})).rejects.toMatchObject({ code: 'request_invalid', param: 'rating' });
});

describe('the book of ratings', () => {
	const ALL: FeedbackQuery = { tenantId: null, requestId: null, feature: null, rating: null, limit: 10_000 };
	const one = (fields: Partial<Feedback>): Feedback => ({
		...{ tenantId: 'acme', requestId: 'req_1', rater: 'v1:a', at: 0, score: 1, label: null, passages: [] },
		...{ comment: 'c', question: 'q', correctedAnswer: null, feature: 'ask', collection: null, generation: null },
		chunks: [],
		...fields,
	});

	async function book(file: string) {
		const clock = new VirtualClock();
		const records = openSqliteRecords(file);
		const policy = { retentionMs: 10 * 86_400_000, textRetentionMs: 86_400_000 };
		const made = new FeedbackBook({
			traces: { find: async () => null },
			store: records.feedback,
			policy: () => policy,
			clock,
			warn: (message) => {
				throw new Error(message);
			},
		});
		return { clock, records, made };
	}

	it('writes those that come together in one go, keeps them over a restart, and refuses what it has no room for', async () => {
		const dir = await projectFolder({});
		const file = join(dir, 'records.sqlite');
		const { clock, records, made } = await book(file);
		const puts = Array.from({ length: 1_001 }, (_, at) => made.put(one({ requestId: `req_${at}`, at: clock.now() })));
		await expect(puts[1_000]).rejects.toMatchObject({ code: 'overloaded' });
		expect(await records.feedback.list(ALL)).toEqual([]);
		await clock.advance(20);
		await Promise.all(puts.slice(0, 1_000));
		expect(await records.feedback.list(ALL)).toHaveLength(1_000);
		const last = made.put(one({ requestId: 'req_last' }));
		await made.close();
		await last;
		await records.close();
		const reopened = openSqliteRecords(file);
		onTestFinished(() => reopened.close());
		expect(await reopened.feedback.list({ ...ALL, requestId: 'req_last' })).toHaveLength(1);
		await rm(dir, { recursive: true, force: true });
	});

	it('leaves no text in the file that was deleted, replaced or too old', async () => {
		const dir = await projectFolder({});
		const file = join(dir, 'records.sqlite');
		const records = openSqliteRecords(file);
		const said = (what: string) => `${what}-${'unmistakable words '.repeat(20)}`;
		const [gone, replaced, old, kept] = ['gone', 'replaced', 'old', 'kept'].map((requestId, at) =>
			one({ requestId, at: at === 2 ? 0 : 10, comment: said(requestId) }),
		) as [Feedback, Feedback, Feedback, Feedback];
		await records.feedback.put([gone, replaced, old, kept]);
		await records.feedback.put([{ ...replaced, comment: 'short' }]);
		await records.feedback.remove({ tenantId: 'acme', requestId: 'gone', rater: null });
		await records.feedback.prune({ before: 0, textsBefore: 5, rowsPerTenantMax: 100 });
		// While it is open, too: neither the file nor its log holds them.
		onTestFinished(() => records.close());
		const bytes = (await Promise.all([file, `${file}-wal`].map((name) => readFile(name, 'latin1')))).join('');
		expect(['gone', 'replaced', 'old', 'kept'].filter((what) => bytes.includes(said(what)))).toEqual(['kept']);
	});

	it('forgets texts and then ratings by the hour', async () => {
		const { clock, records, made } = await book(':memory:');
		onTestFinished(() => records.close());
		const put = made.put(one({ at: clock.now() }));
		await clock.advance(20);
		await put;
		made.start();
		const kept = async () => (await records.feedback.list(ALL)).map(({ question }) => question);
		await clock.advance(23 * 3_600_000);
		expect(await kept()).toEqual(['q']);
		await clock.advance(2 * 3_600_000);
		expect(await kept()).toEqual([null]);
		await clock.advance(10 * 86_400_000);
		expect(await kept()).toEqual([]);
		await made.close();
	});
});
