import { getEventListeners } from 'node:events';
import { join } from 'node:path';
import pino from 'pino';
import { expect, onTestFinished, test } from 'vitest';
import { createRuntime } from '../../src/app/create-runtime.ts';
import { ModelPool } from '../../src/app/model-pool.ts';
import { serve } from '../../src/app/serve.ts';
import { VirtualClock } from '../../src/base/virtual-clock.ts';
import type { UpstreamConfig } from '../../src/contracts/project.ts';
import { openTraceReader } from '../../src/telemetry/trace-reader.ts';
import { projectFolder } from '../support/project-folder.ts';
import { startUpstreamDouble } from '../support/upstream-double.ts';

const QUIET = {
	log: pino({ level: 'silent' }),
	events: {
		onIngestProgress() {},
		onIngested() {},
		onIngestFailed() {},
		onReloaded() {},
		onReloadRefused() {},
	},
};

function project(baseUrl: string): Record<string, string> {
	return {
		'plimsoll.yaml': `server: {port: 0, drain_ms: 0}
upstreams:
  test/double: {family: openai-compatible, base_url: ${baseUrl}, model: double}
`,
	};
}

test('a stop that cuts a request off still keeps its trace', async () => {
	const double = await startUpstreamDouble({ plan: { fault: 'silent' } });
	onTestFinished(() => double.close());
	const dir = await projectFolder(project(double.url));
	const server = await serve({ dir }, QUIET);
	const asked = fetch(`${server.url}/v1/chat/completions`, {
		method: 'POST',
		headers: { authorization: `Bearer ${server.developmentKey.secret}`, 'content-type': 'application/json' },
		body: '{"model":"test/double","messages":[{"role":"user","content":"Hello?"}]}',
	}).then(
		() => 'answered',
		() => 'cut off',
	);
	await double.arrived(1);
	await server.stop();
	expect(await asked).toBe('cut off');
	const reader = await openTraceReader(join(dir, '.plimsoll', 'traces.duckdb'));
	const traces = await reader.recent({ tenantId: null, feature: null, limit: 10 });
	await reader.close();
	expect(traces).toMatchObject([{ outcome: 'cancelled', error_code: 'client_closed' }]);
});

test('a signal that outlives its requests collects no listeners', async () => {
	const double = await startUpstreamDouble();
	onTestFinished(() => double.close());
	const runtime = await createRuntime({ dir: await projectFolder(project(double.url)), log: QUIET.log });
	onTestFinished(() => runtime.close());
	const { signal } = new AbortController();
	for (let i = 0; i < 3; i++) await runtime.ask('test/double', { question: 'Hello?', signal });
	await expect(runtime.ask('test/nobody', { question: 'Hello?', signal })).rejects.toThrow(/named "test\/nobody"/);
	expect(getEventListeners(signal, 'abort')).toEqual([]);
});

test('models that did not change are kept by a reload, and one that cannot be made changes nothing', async () => {
	const pool = new ModelPool(new VirtualClock());
	onTestFinished(() => pool.close());
	const upstream = (name: string, baseUrl: string): [string, UpstreamConfig] => [
		name,
		{
			name,
			provider: 'test',
			model: 'm',
			family: 'openai-compatible',
			available: true,
			switchedOnBy: [],
			contextTokensMax: 8000,
			tokensOutMax: 100,
			tokensOutParameter: 'max_tokens',
			tokenizer: 'o200k_base',
			sideEffects: false,
			continuesTurn: false,
			timeouts: { connectMs: 1, firstTokenMs: 1, idleMs: 1, totalMs: 1 },
			price: null,
			priceFrom: null,
			baseUrl,
			apiKey: null,
			connectionsMax: 1,
			breaker: null,
			schemaDialect: null,
			providerOptions: {},
			wire: {
				chatPath: '/chat/completions',
				keyHeader: 'authorization',
				streamUsage: true,
				jsonSchema: true,
				continuation: 'place',
				refused: [],
				renamed: {},
			},
		},
	];
	const first = pool.update(
		new Map([upstream('test/a', 'http://127.0.0.1:1'), upstream('test/b', 'http://127.0.0.1:2')]),
	);
	expect(() => pool.update(new Map([upstream('test/a', 'ftp://127.0.0.1:1')]))).toThrow(/base_url/);
	const second = pool.update(
		new Map([upstream('test/a', 'http://127.0.0.1:1'), upstream('test/b', 'http://127.0.0.1:3')]),
	);
	expect(second.get('test/a')).toBe(first.get('test/a'));
	expect(second.get('test/b')).not.toBe(first.get('test/b'));
});
