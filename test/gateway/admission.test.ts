import { request as httpRequest } from 'node:http';
import { expect, it, onTestFinished } from 'vitest';
import type { AdmissionConfig } from '../../src/contracts/project.ts';
import { type RunningGateway, startGateway } from '../support/gateway-fixture.ts';
import { feature, KEY, keyRecord } from '../support/runtime-fixture.ts';

const BODY = { model: 'ask', messages: [{ role: 'user', content: 'What is a load line?' }] };

/** The first call of the upstream is not answered: its request holds the place until its client leaves. */
async function gatewayWith(admission: Partial<AdmissionConfig>, { silentFirst = false } = {}): Promise<RunningGateway> {
	const gateway = await startGateway({
		features: (model) => [feature({ feature: 'ask' }, { route: [model] })],
		keys: [keyRecord(), keyRecord({ id: 'd'.repeat(12), tenantId: 'other', scopes: ['read'] })],
		upstream: { plan: (index) => (silentFirst && index === 0 ? { fault: 'silent' } : {}) },
		admission,
	});
	onTestFinished(() => gateway.close());
	return gateway;
}

/** One request that holds the only place until it is told to leave. */
async function occupy(gateway: RunningGateway): Promise<() => void> {
	const leaving = new AbortController();
	ask(gateway, { signal: leaving.signal }).catch(() => null);
	await expect.poll(async () => (await view(gateway)).server?.running.interactive).toBe(1);
	return () => leaving.abort();
}

const queued = (gateway: RunningGateway) => expect.poll(async () => (await view(gateway)).server?.queued.interactive);

function ask(
	gateway: RunningGateway,
	change: { body?: unknown; headers?: Record<string, string>; signal?: AbortSignal } = {},
) {
	return fetch(`${gateway.url}/v1/chat/completions`, {
		method: 'POST',
		headers: { authorization: `Bearer ${KEY}`, 'content-type': 'application/json', ...change.headers },
		body: JSON.stringify(change.body ?? BODY),
		...(change.signal ? { signal: change.signal } : {}),
	});
}

const view = async ({ url }: RunningGateway, key = KEY) =>
	(await (await fetch(`${url}/admin/admission`, { headers: { authorization: `Bearer ${key}` } })).json()) as {
		server: { limit: number; running: Record<string, number>; queued: Record<string, number> } | null;
		tenants: { tenant: string; running: number }[];
	};

it('says how long an answer waited for its place, whole and streamed', async () => {
	const rules = { concurrentRequestsMax: 1, queuedPerTenantMax: 5, queuedMax: 5 };
	const gateway = await gatewayWith(rules, { silentFirst: true });
	const leave = await occupy(gateway);
	const waiting = [ask(gateway), ask(gateway, { body: { ...BODY, stream: true } })];
	await queued(gateway).toBe(2);
	leave();
	for (const response of await Promise.all(waiting)) {
		expect(response.status).toBe(200);
		expect(Number(response.headers.get('x-plimsoll-queued-ms'))).toBeGreaterThan(0);
		await response.text();
	}
	expect((await ask(gateway)).headers.get('x-plimsoll-queued-ms')).toBeNull();
});

it('tells whoever finds the queue full how long to wait, and not to retry by itself', async () => {
	const rules = { concurrentRequestsMax: 1, queuedPerTenantMax: 1, queuedMax: 1 };
	const gateway = await gatewayWith(rules, { silentFirst: true });
	const leave = await occupy(gateway);
	const waiting = ask(gateway);
	await queued(gateway).toBe(1);
	const refused = await ask(gateway);
	expect(refused.status).toBe(429);
	expect(refused.headers.get('x-should-retry')).toBe('false');
	expect(Number(refused.headers.get('retry-after-ms'))).toBeGreaterThan(0);
	expect(await refused.json()).toMatchObject({ error: { code: 'queue_full', type: 'rate_limit_error' } });
	leave();
	expect((await waiting).status).toBe(200);
});

it('lets a client lower its priority, and nothing else', async () => {
	const gateway = await gatewayWith({});
	const priority = async (value: string) => (await ask(gateway, { headers: { 'x-plimsoll-priority': value } })).status;
	expect(await priority('batch')).toBe(200);
	expect(gateway.traces.last.steps[0]?.detail.priority).toBe('batch');
	expect(await priority('interactive')).toBe(200);
	expect(gateway.traces.last.steps[0]?.detail.priority).toBe('interactive');
	expect(await priority('urgent')).toBe(400);
	expect(gateway.traces.last).toMatchObject({ outcome: 'refused', error_code: 'request_invalid' });
});

it('frees the place in the queue of a client that hangs up', async () => {
	const rules = { concurrentRequestsMax: 1, queuedPerTenantMax: 1, queuedMax: 1 };
	const gateway = await gatewayWith(rules, { silentFirst: true });
	const leave = await occupy(gateway);
	const leaving = new AbortController();
	const waiting = ask(gateway, { signal: leaving.signal }).catch(() => null);
	await queued(gateway).toBe(1);
	leaving.abort();
	await waiting;
	await queued(gateway).toBe(0);
	const next = ask(gateway);
	await queued(gateway).toBe(1);
	leave();
	expect((await next).status).toBe(200);
	await expect
		.poll(() => gateway.traces.traces.map(({ outcome }) => outcome).sort())
		.toEqual(['cancelled', 'cancelled', 'ok']);
});

it('shows an operator everybody, and a tenant itself alone', async () => {
	const gateway = await gatewayWith({}, { silentFirst: true });
	const leave = await occupy(gateway);
	expect((await view(gateway)).tenants).toMatchObject([{ tenant: 'acme', running: 1 }]);
	expect(await view(gateway, `plim_${'d'.repeat(12)}_${'b'.repeat(52)}`)).toEqual({ server: null, tenants: [] });
	leave();
});

it('refuses bodies that do not fit into memory, declared or in pieces, and takes the next that does', async () => {
	const gateway = await gatewayWith({ bufferedBytesMax: 100_000 });
	const large = JSON.stringify({ ...BODY, user: 'x'.repeat(500), padding: 'y'.repeat(100_000) });
	const declared = await ask(gateway, { body: JSON.parse(large) });
	expect(declared.status).toBe(503);
	expect(await declared.json()).toMatchObject({ error: { code: 'overloaded' } });
	expect(declared.headers.get('x-should-retry')).toBe('false');
	expect(await inPieces(gateway, large)).toMatchObject({ status: 503, code: 'overloaded' });
	expect(await inPieces(gateway, JSON.stringify(BODY))).toMatchObject({ status: 200 });
	expect((await ask(gateway)).status).toBe(200);
	await expect.poll(async () => (await view(gateway)).server).toMatchObject({ buffered_bytes: 0 });
});

it('refuses documents that do not fit into memory either', async () => {
	const gateway = await gatewayWith({ bufferedBytesMax: 100_000 });
	const push = (text: string) =>
		fetch(`${gateway.url}/admin/collections/docs/documents`, {
			method: 'POST',
			headers: { authorization: `Bearer ${KEY}`, 'content-type': 'application/json' },
			body: JSON.stringify({ id: 'a', text }),
		});
	const large = await push('x'.repeat(100_000));
	expect([large.status, await large.json()]).toMatchObject([503, { error: { code: 'overloaded' } }]);
	// The fixture has no collections: what fits comes as far as that.
	expect(await (await push('x')).json()).toMatchObject({ error: { code: 'internal_error' } });
	await expect.poll(async () => (await view(gateway)).server).toMatchObject({ buffered_bytes: 0 });
});

/** A body without a declared length. */
function inPieces({ url }: RunningGateway, body: string): Promise<{ status: number; code: string | null }> {
	return new Promise((resolve, reject) => {
		const sent = httpRequest(
			`${url}/v1/chat/completions`,
			{ method: 'POST', headers: { authorization: `Bearer ${KEY}`, 'content-type': 'application/json' } },
			async (response) => {
				const chunks: Buffer[] = [];
				for await (const chunk of response) chunks.push(chunk as Buffer);
				const answer = JSON.parse(Buffer.concat(chunks).toString());
				resolve({ status: response.statusCode ?? 0, code: answer.error?.code ?? null });
			},
		);
		sent.on('error', reject);
		for (let at = 0; at < body.length; at += 10_000) sent.write(body.slice(at, at + 10_000));
		sent.end();
	});
}
