import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import pino from 'pino';
import { expect, onTestFinished, test } from 'vitest';
import { serve } from '../../src/app/serve.ts';
import { projectFolder, VALID_PROJECT } from '../support/project-folder.ts';
import { MetricsPage } from '../support/prometheus-text.ts';
import { type Plan, startUpstreamDouble } from '../support/upstream-double.ts';

const PROMPT = VALID_PROJECT['features/ask/prompts/answer.prompt'] ?? '';
const CONTRACT = `owner: tests
models: {route: [mock/one, mock/two]}
on_failure: {upstream_outage: fail_over}
`;
const ASKING = { model: 'ask', messages: [{ role: 'user', content: 'How deep may a ship lie?' }] };
const EVENTS = { onIngestProgress() {}, onIngested() {}, onIngestFailed() {}, onReloaded() {}, onReloadRefused() {} };

/** A server with one feature over two doubles, the first of which does as it is told. */
async function start(settings = '') {
	const broken: { plan: Plan } = { plan: {} };
	const one = await startUpstreamDouble({ plan: () => broken.plan });
	const two = await startUpstreamDouble({});
	const upstream = (url: string) =>
		`{family: openai-compatible, base_url: "${url}", model: mock-1, price: {version: "2026-11-01", input_usd_per_million: 3, output_usd_per_million: 15}}`;
	const yaml = `upstreams:\n  mock/one: ${upstream(one.url)}\n  mock/two: ${upstream(two.url)}\n${settings}`;
	const dir = await projectFolder({
		'plimsoll.yaml': yaml,
		'features/ask/contract.yaml': CONTRACT,
		'features/ask/prompts/answer.prompt': PROMPT,
	});
	const server = await serve({ dir, port: 0 }, { log: pino({ level: 'silent' }), events: EVENTS });
	onTestFinished(async () => {
		await server.stop();
		await Promise.all([one.close(), two.close()]);
	});
	const root = server.developmentKey.secret;
	const send = async (path: string, options: { key?: string | null; body?: object; headers?: object } = {}) => {
		const { key = root, body, headers } = options;
		const response = await fetch(server.url + path, {
			method: body ? 'POST' : 'GET',
			headers: {
				...(key === null ? {} : { authorization: `Bearer ${key}` }),
				...(body ? { 'content-type': 'application/json' } : {}),
				...headers,
			},
			body: body ? JSON.stringify(body) : null,
		});
		const text = await response.text();
		return { status: response.status, type: response.headers.get('content-type'), text };
	};
	const newKey = async (ask: object): Promise<string> =>
		JSON.parse((await send('/admin/keys', { body: { name: 'test', ...ask } })).text).secret;
	const page = async () => new MetricsPage((await send('/metrics')).text);
	return { server, dir, yaml, broken, send, newKey, page };
}

test('metrics are what traffic was, and their costs are those of the traces', async () => {
	const { server, broken, send, page } = await start();
	const ask = (headers: object = {}, body: object = ASKING) => send('/v1/chat/completions', { body, headers });
	expect((await ask()).status).toBe(200);
	expect((await ask({}, { ...ASKING, stream: true })).text).toContain('[DONE]');
	for (let n = 0; n < 2; n++) await ask({ 'idempotency-key': 'order-1', 'x-stainless-retry-count': String(n) });
	broken.plan = { status: 503 };
	expect((await ask({ 'x-plimsoll-priority': 'batch' })).status).toBe(200);
	expect((await send('/v1/chat/completions', { key: null, body: ASKING })).status).toBe(401);
	expect((await ask({}, { ...ASKING, model: 'no-such-"name"' })).status).toBe(404);

	const now = await page();
	const requests = (labels: Record<string, string>) => now.sum('plimsoll_requests_total', labels);
	expect(requests({})).toBe(7);
	expect(requests({ feature: 'ask', outcome: 'ok', priority: 'interactive', code: '(none)' })).toBe(4);
	expect(requests({ feature: 'ask', outcome: 'degraded', priority: 'batch' })).toBe(1);
	expect(requests({ feature: '(none)', code: 'key_missing', outcome: 'refused' })).toBe(1);
	expect(requests({ feature: '(none)', code: 'model_not_found', outcome: 'refused' })).toBe(1);
	expect(now.sum('plimsoll_request_duration_seconds_count', { feature: 'ask' })).toBe(5);
	expect(now.sum('plimsoll_time_to_first_token_seconds_count', { feature: 'ask' })).toBeGreaterThan(0);
	expect(now.sum('plimsoll_attempts_total', { upstream: 'mock/one', outcome: 'ok' })).toBe(3);
	expect(now.sum('plimsoll_attempts_total', { upstream: 'mock/two', outcome: 'ok' })).toBe(1);
	expect(now.sum('plimsoll_retries_total', { feature: 'ask' })).toBeGreaterThan(0);
	expect(now.sum('plimsoll_client_retries_total')).toBe(1);
	expect(now.sum('plimsoll_degraded_total', { reason: 'upstream_outage: fail_over' })).toBe(1);
	expect(now.sum('plimsoll_idempotent_replays_total', { kind: 'stored' })).toBe(1);
	expect(now.sum('plimsoll_breaker_state', { upstream: 'mock/two', state: 'closed' })).toBe(1);
	expect(now.sum('plimsoll_requests_running')).toBe(0);
	expect(now.sum('plimsoll_shared_state_up', { backend: 'in_process' })).toBe(1);
	expect(now.sum('plimsoll_idempotency_store_up')).toBe(1);

	const traces = await server.services.operator.traces.recent({ tenantId: null, feature: null, limit: 100 });
	const micros = traces.reduce((sum, trace) => sum + trace.cost_usd_micros, 0);
	expect(micros).toBeGreaterThan(0);
	expect(now.sum('plimsoll_cost_usd_total')).toBeCloseTo(micros / 1_000_000, 9);
	expect(now.sum('plimsoll_tokens_total', { direction: 'out', feature: 'ask', source: 'reported' })).toBeGreaterThan(0);
});

test('a breaker that was opened by hand is open on the next page', async () => {
	const { send, page } = await start();
	await send('/admin/upstreams/mock%2Fone/breaker', { body: { state: 'open', for_ms: 60_000 } });
	expect((await page()).sum('plimsoll_breaker_state', { upstream: 'mock/one', state: 'open' })).toBe(1);
});

test('a page is for the scope admin alone, and says so in Prometheus’ type', async () => {
	const { send, newKey } = await start();
	expect((await send('/metrics')).type).toBe('text/plain; version=0.0.4; charset=utf-8');
	expect((await send('/metrics', { key: null })).status).toBe(401);
	const others = await newKey({ tenant: 'beta', scopes: ['invoke', 'ingest', 'read'] });
	expect((await send('/metrics', { key: others })).text).toContain('scope_missing');
});

test('an open page takes nothing from nobody, names no tenant, and looks at a key that is shown', async () => {
	const { send, newKey } = await start('server: {metrics: open}\ntelemetry: {metric_tenants_max: 10}\n');
	const acme = await newKey({ tenant: 'acme', scopes: ['invoke', 'read'] });
	await send('/v1/chat/completions', { key: acme, body: ASKING });
	const open = await send('/metrics', { key: null });
	expect(open.status).toBe(200);
	expect(new MetricsPage(open.text).sum('plimsoll_requests_total', { outcome: 'ok' })).toBe(1);
	expect(open.text).not.toContain('acme');
	expect((await send('/metrics', { key: acme })).status).toBe(403);
	expect((await send('/metrics', { key: 'plim_x' })).status).toBe(401);
	const admin = new MetricsPage((await send('/metrics')).text);
	expect(admin.sum('plimsoll_tenant_requests_total', { tenant: 'acme', outcome: 'ok' })).toBe(1);
	expect(admin.sum('plimsoll_tenant_cost_usd_total', { tenant: 'acme' })).toBeGreaterThan(0);
});

test('an edit opens and closes the page of a running server', async () => {
	const { send, dir, yaml } = await start();
	const status = async () => (await send('/metrics', { key: null })).status;
	expect(await status()).toBe(401);
	await writeFile(join(dir, 'plimsoll.yaml'), `${yaml}server: {metrics: open}\n`);
	await expect.poll(status, { timeout: 30_000 }).toBe(200);
	await writeFile(join(dir, 'plimsoll.yaml'), yaml);
	await expect.poll(status, { timeout: 30_000 }).toBe(401);
});
