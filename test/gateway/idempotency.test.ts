import { once } from 'node:events';
import { request as httpRequest } from 'node:http';
import { afterEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { sha256 } from '../../src/base/hash.ts';
import type { LimitTable } from '../../src/contracts/project.ts';
import { ROUTES } from '../../src/gateway/gateway.ts';
import { createBuiltinEmbedder } from '../../src/retrieval/embedding/builtin-embedder.ts';
import { PlimsollError } from '../../src/spec/errors.ts';
import type { IdempotencyStore } from '../../src/spec/idempotency.ts';
import { BoundedIdempotency } from '../../src/stores/bounded-idempotency.ts';
import { MemoryState } from '../../src/stores/memory-state.ts';
import { RedisIdempotency } from '../../src/stores/redis-idempotency.ts';
import { RedisLink } from '../../src/stores/redis-link.ts';
import { openSqliteIdempotency } from '../../src/stores/sqlite-idempotency.ts';
import { NO_STORE, type RunningGateway, startGateway } from '../support/gateway-fixture.ts';
import { NO_REDIS, portOf, startRedis } from '../support/redis-server.ts';
import { feature, hit, KEY, keyRecord, NO_LIMITS, retrieverOf, UNLIMITED } from '../support/runtime-fixture.ts';

const OTHER_KEY = `plim_${'c'.repeat(12)}_${'d'.repeat(52)}`;
const NARROW_KEY = `plim_${'e'.repeat(12)}_${'f'.repeat(52)}`;
const KEYS = [
	keyRecord(),
	keyRecord({ id: 'c'.repeat(12), tenantId: 'other', secretHash: sha256('d'.repeat(52)) }),
	keyRecord({ id: 'e'.repeat(12), secretHash: sha256('f'.repeat(52)), features: ['greet'] }),
];

const closers: (() => Promise<void>)[] = [];

afterEach(async () => {
	for (const close of closers.splice(0).reverse()) await close();
});

type Options = Partial<Parameters<typeof startGateway>[0]> & { recordsMax?: number };

async function start(options: Options = {}): Promise<RunningGateway> {
	const bounds = { recordsMax: options.recordsMax ?? 1_000, bytesMax: 10_000_000 };
	const keyed = await openSqliteIdempotency(':memory:', { bounds, clock: systemClock });
	closers.push(() => keyed.close());
	const gateway = await startGateway({
		keys: KEYS,
		keyed,
		retriever: retrieverOf([hit(1, 'about ships')]),
		features: (model) => [feature({}, { route: [model] })],
		...options,
	});
	closers.push(() => gateway.close());
	return gateway;
}

interface Sent {
	readonly key?: string;
	readonly path?: string;
	readonly body?: unknown;
	readonly bearer?: string;
	readonly signal?: AbortSignal;
	readonly headers?: Readonly<Record<string, string>>;
}

const ASK = { model: 'greet', messages: [{ role: 'user', content: 'hello' }] };
const BARE = { ...ASK, model: 'test/primary' };

function send(
	gateway: RunningGateway,
	{ key = 'key-1', path, body = ASK, bearer = KEY, signal, headers = {} }: Sent = {},
) {
	return fetch(`${gateway.url}${path ?? '/v1/chat/completions'}`, {
		method: 'POST',
		headers: {
			authorization: `Bearer ${bearer}`,
			'content-type': 'application/json',
			...(key === '' ? {} : { 'idempotency-key': key }),
			...headers,
		},
		body: typeof body === 'string' ? body : JSON.stringify(body),
		...(signal ? { signal } : {}),
	});
}

async function codeOf(response: Response): Promise<unknown> {
	return ((await response.json()) as { error: { code: unknown } }).error.code;
}

describe('an Idempotency-Key', () => {
	it('replays on every POST of the data surface what the first request got, and asks nobody', async () => {
		const bodies: Record<string, unknown> = {
			'/v1/chat/completions': ASK,
			'/v1/features/{feature}/invoke': { input: { question: 'hello' } },
			'/v1/collections/{collection}/search': { query: 'ships' },
			'/v1/responses': { model: 'greet', input: 'hello' },
			'/v1/messages': { ...ASK, max_tokens: 10 },
			'/v1/messages/count_tokens': ASK,
			'/v1/embeddings': { model: 'words', input: 'ships' },
			'/v1/feedback': { request_id: 'req_1', rating: 'up' },
		};
		const routes = ROUTES.filter(({ method, traced }) => method === 'POST' && traced);
		expect(routes.map(({ path }) => path).sort()).toEqual(Object.keys(bodies).sort());
		const words = { name: 'words', provider: 'builtin', model: 'words', dimensions: 8, price: null };
		const source = { get: async () => createBuiltinEmbedder(8) };
		const rated = { feature: 'greet', collection: null, generation: null, chunks: [], upstream: null, userHash: null };
		let ratings = 0;
		const gateway = await start({
			embedders: { source, targets: [{ names: ['words'], target: words }] },
			feedback: {
				find: async () => rated,
				put: async (feedback) => {
					ratings++;
					return feedback;
				},
			},
		});
		for (const { path } of routes) {
			const sent = { key: path, path: path.replace('{feature}', 'greet').replace('{collection}', 'docs') };
			const first = await send(gateway, { ...sent, body: bodies[path] });
			expect(first.status, path).toBe(200);
			expect(first.headers.get('idempotency-replayed')).toBeNull();
			const asked = gateway.double.requests;
			const again = await send(gateway, { ...sent, body: bodies[path] });
			expect(again.status).toBe(200);
			expect(again.headers.get('idempotency-replayed')).toBe('true');
			expect(again.headers.get('idempotency-replay-of')).toBe(first.headers.get('x-request-id'));
			expect(again.headers.get('x-request-id')).not.toBe(first.headers.get('x-request-id'));
			for (const name of ['content-type', 'x-plimsoll-upstream']) {
				expect(again.headers.get(name), name).toBe(first.headers.get(name));
			}
			expect(await again.text()).toBe(await first.text());
			expect(gateway.double.requests).toBe(asked);
		}
		expect(ratings).toBe(1);
	});

	it('replays streams, a feature’s and a relayed one, byte for byte', async () => {
		const gateway = await start();
		for (const model of ['greet', 'test/primary']) {
			const body = { ...ASK, model, stream: true, stream_options: { include_usage: true } };
			const first = await (await send(gateway, { key: model, body })).text();
			expect(first).toMatch(/data: \[DONE\]\n\n$/);
			const again = await send(gateway, { key: model, body });
			expect(again.headers.get('content-type')).toContain('text/event-stream');
			expect(await again.text()).toBe(first);
		}
		expect(gateway.double.requests).toBe(2);
	});

	it('is answered as without one: the same status, type and shape', async () => {
		const gateway = await start();
		const bare = await send(gateway, { key: '', body: BARE });
		const keyed = await send(gateway, { body: BARE });
		expect(await keyed.text()).toBe(await bare.text());
		const names = (response: Response) => [...response.headers.keys()].filter((name) => name !== 'keep-alive').sort();
		expect(names(keyed)).toEqual(names(bare));
	});

	it('joins a request that runs, from the beginning of its stream', async () => {
		const gateway = await start({ upstream: { plan: { chunks: 40, gapMs: 10 } } });
		const body = { ...BARE, stream: true };
		const first = await send(gateway, { body });
		const reader = first.body?.getReader();
		const head = await reader?.read();
		const second = await send(gateway, { body });
		expect(second.headers.get('idempotency-replayed')).toBe('true');
		let whole = Buffer.from(head?.value ?? []).toString();
		for (let part = await reader?.read(); part?.value; part = await reader?.read()) {
			whole += Buffer.from(part.value).toString();
		}
		expect(whole).toMatch(/data: \[DONE\]\n\n$/);
		expect(await second.text()).toBe(whole);
		expect(gateway.double.requests).toBe(1);
	});

	it('joins a stream for as long as it runs, also for a client that would not wait so long for its beginning', async () => {
		const gateway = await start({ upstream: { plan: { chunks: 20, gapMs: 20 } } });
		const body = { ...BARE, stream: true };
		const first = await send(gateway, { body });
		await first.body?.getReader().read();
		const joined = await send(gateway, { body, headers: { 'x-stainless-timeout': '0.2' } });
		expect(await joined.text()).toMatch(/data: \[DONE\]\n\n$/);
		expect(gateway.double.requests).toBe(1);
	});

	it('counts a replay that its client does not read as held in memory, until the client is gone', async () => {
		const keyed: IdempotencyStore = {
			...NO_STORE,
			claim: async () => ({
				kind: 'stored',
				requestId: 'req_first',
				response: {
					status: 200,
					headers: {},
					body: 'x'.repeat(40_000_000),
					origin: { feature: null, release: null, degradedReason: null, errorCode: null },
				},
			}),
		};
		const gateway = await startGateway({ keys: KEYS, keyed, admission: { bufferedBytesMax: 60_000_000 } });
		closers.push(() => gateway.close());
		const held = async () => {
			const response = await fetch(`${gateway.url}/admin/admission`, { headers: { authorization: `Bearer ${KEY}` } });
			return ((await response.json()) as { server: { buffered_bytes: number } }).server.buffered_bytes;
		};
		const leaving = new AbortController();
		const unread = await send(gateway, { body: BARE, signal: leaving.signal });
		expect(unread.status).toBe(200);
		await expect.poll(held, { timeout: 30_000 }).toBeGreaterThan(20_000_000);
		const refused = await send(gateway, { body: BARE });
		expect([refused.status, await codeOf(refused)]).toEqual([503, 'overloaded']);
		leaving.abort();
		await expect.poll(held, { timeout: 30_000 }).toBe(0);
	});

	it('is executed once, however many ask at once', async () => {
		const gateway = await start({ upstream: { plan: { latencyMs: 50 } } });
		const responses = await Promise.all(Array.from({ length: 40 }, () => send(gateway, { body: BARE })));
		expect(responses.map(({ status }) => status)).toEqual(Array.from({ length: 40 }, () => 200));
		const bodies = new Set(await Promise.all(responses.map((response) => response.text())));
		expect(bodies.size).toBe(1);
		expect(gateway.double.requests).toBe(1);
		expect(responses.filter(({ headers }) => headers.get('idempotency-replayed') === null)).toHaveLength(1);
	});

	it('goes on for those who joined when the first client leaves, and for the next when all leave', async () => {
		const gateway = await start({ upstream: { plan: { chunks: 30, gapMs: 20 } } });
		for (const joins of [true, false]) {
			const leaving = new AbortController();
			const body = { ...BARE, stream: true };
			const key = `leaves-${joins}`;
			const before = gateway.double.requests;
			const first = await send(gateway, { key, body, signal: leaving.signal });
			await first.body?.getReader().read();
			const joined = joins ? await send(gateway, { key, body }) : null;
			leaving.abort();
			if (joined) expect(await joined.text()).toMatch(/data: \[DONE\]\n\n$/);
			const later = await send(gateway, { key, body });
			expect(await later.text()).toMatch(/data: \[DONE\]\n\n$/);
			expect(gateway.double.requests).toBe(before + 1);
		}
		expect(gateway.double.abortedCount).toBe(0);
	});

	it('is refused with another body or another route', async () => {
		const gateway = await start({ upstream: { plan: { latencyMs: 100 } } });
		const first = send(gateway);
		await gateway.double.arrived(1);
		const other = { ...ASK, messages: [{ role: 'user', content: 'something else' }] };
		const running = await send(gateway, { body: other });
		expect([running.status, await codeOf(running)]).toEqual([422, 'idempotency_key_reused']);
		expect(running.headers.get('x-should-retry')).toBe('false');
		await first;
		const done = await send(gateway, { body: other });
		expect([done.status, await codeOf(done)]).toEqual([422, 'idempotency_key_reused']);
		const route = await send(gateway, { path: '/v1/features/greet/invoke', body: { input: { question: 'hello' } } });
		expect([route.status, await codeOf(route)]).toEqual([422, 'idempotency_key_reused']);
		// The order of members and white space are no part of a body’s meaning.
		const same = await send(gateway, { body: JSON.stringify({ messages: ASK.messages, model: ASK.model }, null, 2) });
		expect(same.headers.get('idempotency-replayed')).toBe('true');
		expect(gateway.double.requests).toBe(1);
	});

	it('that is none is refused before anything is asked', async () => {
		const gateway = await start();
		for (const key of ['k'.repeat(256), 'k'.repeat(10_000), 'caf\u00e9', 'a\tb', '""']) {
			const refused = await send(gateway, { key });
			expect([key.slice(0, 10), refused.status, await codeOf(refused)]).toEqual([
				key.slice(0, 10),
				400,
				'idempotency_key_invalid',
			]);
		}
		const { port } = new URL(gateway.url);
		const twice = httpRequest({ port, host: '127.0.0.1', path: '/v1/chat/completions', method: 'POST' });
		twice.setHeader('authorization', `Bearer ${KEY}`);
		twice.setHeader('content-type', 'application/json');
		twice.setHeader('idempotency-key', ['one', 'two']);
		twice.end(JSON.stringify(ASK));
		const [response] = await once(twice, 'response');
		expect(response.statusCode).toBe(400);
		expect((await send(gateway, { key: 'k'.repeat(255) })).status).toBe(200);
		expect(gateway.double.requests).toBe(1);
	});

	it('with a body that is missing, or has a number beyond all numbers, is refused as the client’s mistake', async () => {
		const gateway = await start();
		const missing = await fetch(`${gateway.url}/v1/chat/completions`, {
			method: 'POST',
			headers: { authorization: `Bearer ${KEY}`, 'idempotency-key': 'none' },
		});
		expect([missing.status, await codeOf(missing)]).toEqual([400, 'request_invalid']);
		const huge = await send(gateway, { body: JSON.stringify(ASK).replace('}', ',"top_k":1e999}') });
		expect([huge.status, await codeOf(huge)]).toEqual([400, 'request_invalid']);
		expect(gateway.double.requests).toBe(0);
	});

	it('in quotes, as the IETF draft writes it, is the same as without', async () => {
		const gateway = await start();
		await send(gateway, { key: '"abc"' });
		expect((await send(gateway, { key: 'abc' })).headers.get('idempotency-replayed')).toBe('true');
	});

	it('of another tenant, or of a key with other rights, is another', async () => {
		const gateway = await start();
		await send(gateway, { body: BARE });
		const other = await send(gateway, { body: BARE, bearer: OTHER_KEY });
		expect([other.status, other.headers.get('idempotency-replayed')]).toEqual([200, null]);
		expect(gateway.double.requests).toBe(2);
		// A key held to a feature must not read the answer of an upstream that it may not call.
		const narrow = await send(gateway, { body: BARE, bearer: NARROW_KEY });
		expect([narrow.status, await codeOf(narrow)]).toEqual([403, 'feature_not_allowed']);
	});

	it('keeps refusals of the execution, and frees itself where another try may succeed', async () => {
		const gateway = await start();
		const unknown = { ...ASK, model: 'gone' };
		const first = await send(gateway, { key: 'lasting', body: unknown });
		expect(first.status).toBe(404);
		const again = await send(gateway, { key: 'lasting', body: unknown });
		expect(again.headers.get('idempotency-replayed')).toBe('true');
		expect(again.headers.get('x-should-retry')).toBe('false');
		expect(await again.text()).toBe(await first.text());
		gateway.double.next({ status: 429, headers: { 'retry-after-ms': '5' } });
		expect((await send(gateway, { key: 'passing', body: BARE })).status).toBe(429);
		const retried = await send(gateway, { key: 'passing', body: BARE });
		expect([retried.status, retried.headers.get('idempotency-replayed')]).toEqual([200, null]);
	});

	it('whose stream broke is free again, and those who joined see it break too', async () => {
		const gateway = await start();
		gateway.double.next({ fault: 'cut' });
		const body = { ...BARE, stream: true };
		expect(await (await send(gateway, { body })).text()).toContain('upstream_stream_cut');
		expect(await (await send(gateway, { body })).text()).toMatch(/data: \[DONE\]\n\n$/);
	});

	it('with a response above the cap reaches its client, and is refused afterwards', async () => {
		const gateway = await start({ responseBytesMax: 2_000, upstream: { plan: { text: 'word '.repeat(3_000) } } });
		for (const stream of [false, true]) {
			const sent = { key: `large-${stream}`, body: { ...BARE, stream } };
			const first = await send(gateway, sent);
			expect([first.status, (await first.text()).split('word').length]).toEqual([200, 3_001]);
			const again = await send(gateway, sent);
			expect([again.status, await codeOf(again)]).toEqual([409, 'idempotency_response_not_stored']);
		}
		expect(gateway.double.requests).toBe(2);
	});

	it('above the cap with nobody left is cancelled: no one could ever get its answer', async () => {
		const plan = { text: 'word '.repeat(300), chunks: 300, gapMs: 10 };
		const gateway = await start({ responseBytesMax: 100, upstream: { plan } });
		const leaving = new AbortController();
		const first = await send(gateway, { body: { ...BARE, stream: true }, signal: leaving.signal });
		await first.body?.getReader().read();
		leaving.abort();
		await gateway.double.aborted();
	});

	it('counts as a request, has a trace of its own that costs nothing, and names the original', async () => {
		const tenant = [{ limit: 'requests_per_minute' as const, max: 2 }];
		const limits = { ...NO_LIMITS, standard: { ...NO_LIMITS.standard, tenant } };
		const gateway = await start({ limits });
		const first = await send(gateway);
		const again = await send(gateway);
		expect(again.headers.get('x-ratelimit-remaining-requests')).toBe('0');
		expect((await send(gateway)).status).toBe(429);
		const [original, replay] = gateway.traces.traces;
		expect(original?.steps.filter(({ stage }) => stage === 'admit').at(-1)?.detail).toEqual({ idempotency: 'first' });
		expect(replay).toMatchObject({
			request_id: again.headers.get('x-request-id'),
			tenant_id: 'acme',
			feature: 'greet',
			outcome: 'ok',
			cost_usd_micros: 0,
			tokens_in: 0,
		});
		expect(replay?.steps.map(({ stage, detail }) => [stage, detail.replay_of])).toEqual([
			['admit', undefined],
			['admit', first.headers.get('x-request-id')],
			['respond', first.headers.get('x-request-id')],
		]);
	});

	it('is refused when its store is gone, or runs unprotected and says so', async () => {
		const refusing = await startGateway({ keys: KEYS });
		closers.push(() => refusing.close());
		const refused = await send(refusing, { body: BARE });
		expect([refused.status, await codeOf(refused)]).toEqual([503, 'idempotency_unavailable']);
		const running = await startGateway({ keys: KEYS, onFailure: 'run' });
		closers.push(() => running.close());
		for (const stream of [false, true]) {
			const response = await send(running, { body: { ...BARE, stream } });
			expect([response.status, response.headers.get('idempotency-unprotected')]).toEqual([200, 'true']);
		}
		expect(running.traces.last.steps[1]?.detail).toEqual({ idempotency: 'unprotected' });
	});

	it('is refused when the tenant has too many of them on record', async () => {
		const gateway = await start({ recordsMax: 1 });
		await send(gateway, { key: 'one' });
		const refused = await send(gateway, { key: 'two' });
		expect([refused.status, await codeOf(refused)]).toEqual([429, 'idempotency_records_full']);
		expect((await send(gateway, { key: 'one' })).status).toBe(200);
	});
});

describe('an upstream with side effects', () => {
	it('is not asked again once it got the request, and its answer is then unknown', async () => {
		for (const fault of ['reset', 'cut', 'html'] as const) {
			const gateway = await start({ sideEffects: true });
			gateway.double.next({ fault });
			const first = await send(gateway, { body: BARE });
			expect([fault, first.status, await codeOf(first.clone())]).toEqual([fault, 502, 'upstream_outcome_unknown']);
			expect(first.headers.get('x-should-retry')).toBe('false');
			const again = await send(gateway, { body: BARE });
			expect(await again.text()).toBe(await first.text());
			expect(gateway.double.requests).toBe(1);
		}
	});

	it('that could not be reached may be asked again', async () => {
		const gateway = await start({ sideEffects: true });
		const { port } = gateway.double;
		await gateway.double.close();
		expect(await codeOf(await send(gateway, { body: BARE }))).toBe('upstream_unavailable');
		expect(gateway.traces.last.retries).toBe(1);
		expect(port).toBeGreaterThan(0);
		// Nothing was sent, so that the key is free.
		expect((await send(gateway, { body: BARE })).headers.get('idempotency-replayed')).toBeNull();
	});

	it('is not asked, and costs nothing, while its ledger answers too late; the key is free afterwards', async () => {
		const bounds = { recordsMax: 10, bytesMax: 10_000 };
		const store = await openSqliteIdempotency(':memory:', { bounds, clock: systemClock });
		closers.push(() => store.close());
		let isLate = true;
		const keyed: IdempotencyStore = Object.create(store, {
			beginEffect: {
				value: async (...entry: Parameters<IdempotencyStore['beginEffect']>) => {
					const begun = await store.beginEffect(...entry);
					if (isLate) throw new PlimsollError('idempotency_unavailable', 'The ledger answered too late.');
					return begun;
				},
			},
		});
		for (const method of ['claim', 'renew', 'voidEffect', 'complete', 'release', 'sweep'] as const) {
			Object.assign(keyed, { [method]: store[method].bind(store) });
		}
		const sharedState = new MemoryState();
		const limits: LimitTable = {
			...NO_LIMITS,
			standard: { ...UNLIMITED, tenant: [{ limit: 'tokens_per_minute', max: 100_000 }] },
		};
		const gateway = await startGateway({ keys: KEYS, keyed, sideEffects: true, sharedState, limits });
		closers.push(() => gateway.close());
		expect(await codeOf(await send(gateway, { body: BARE }))).toBe('idempotency_unavailable');
		expect(gateway.double.requests).toBe(0);
		const counters = [{ scope: 'tenant', limit: 'tokens_per_minute' }] as const;
		expect(await sharedState.usage('acme', counters, systemClock.now())).toEqual([{ settled: 0, reserved: 0 }]);
		isLate = false;
		const again = await send(gateway, { body: BARE });
		expect([again.status, again.headers.get('idempotency-replayed')]).toEqual([200, null]);
	});

	it('is not asked again by whoever repeats a key whose request passed its deadline', async () => {
		const gateway = await start({
			sideEffects: true,
			features: (model) => [feature({ budget: { deadlineMs: 2_000 } }, { route: [model] })],
			upstream: { plan: { fault: 'silent' } },
		});
		const first = await send(gateway);
		expect([first.status, await codeOf(first.clone())]).toEqual([502, 'upstream_outcome_unknown']);
		const again = await send(gateway);
		expect(await again.text()).toBe(await first.text());
		expect(gateway.double.requests).toBe(1);
	});
});

describe.skipIf(NO_REDIS !== null)(
	`keys in a Redis that goes away${NO_REDIS === null ? '' : ` (skipped where ${NO_REDIS})`}`,
	() => {
		it('are refused while it is gone, an answer under way is not lost, and all is well when it is back', async () => {
			const redis = await startRedis();
			const link = new RedisLink({ url: redis.url, clock: systemClock, onTrouble: () => {} });
			closers.push(() => link.close());
			await link.connect();
			const store = new RedisIdempotency(link, { recordsMax: 100, bytesMax: 1_000_000 });
			const keyed = new BoundedIdempotency({ store, clock: systemClock, timeoutMs: 1_000 });
			const gateway = await startGateway({ keys: KEYS, keyed, upstream: { plan: { latencyMs: 300 } } });
			closers.push(() => gateway.close());

			const running = send(gateway, { key: 'under-way', body: BARE });
			await gateway.double.arrived(1);
			await redis.kill();
			expect((await running).status).toBe(200);
			expect(gateway.faults).toHaveLength(1);
			const refused = await send(gateway, { key: 'gone', body: BARE });
			expect([refused.status, await codeOf(refused)]).toEqual([503, 'idempotency_unavailable']);
			expect((await send(gateway, { key: '', body: BARE })).status).toBe(200);

			const back = await startRedis(portOf(redis));
			closers.push(() => back.kill());
			const statusOf = async () => (await send(gateway, { key: 'gone', body: BARE })).status;
			await expect.poll(statusOf, { timeout: 20_000 }).toBe(200);
			const replayed = await send(gateway, { key: 'gone', body: BARE });
			expect(replayed.headers.get('idempotency-replayed')).toBe('true');
		}, 60_000);
	},
);
