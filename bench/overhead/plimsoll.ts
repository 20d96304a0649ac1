/** Plimsoll as its users run it: key, contract, budgets, guards and trace on, one feature in front of one upstream. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pino from 'pino';
import { serve } from '../../src/app/serve.ts';
import { reportVitals, sayReady } from './process.ts';

const dir = mkdtempSync(join(tmpdir(), 'plimsoll-bench-'));
mkdirSync(join(dir, 'features/echo/prompts'), { recursive: true });
writeFileSync(
	join(dir, 'plimsoll.yaml'),
	`server: { port: 0, concurrent_requests_max: 2000 }
upstreams:
  bench/double:
    family: openai-compatible
    base_url: ${process.argv[2]}
    model: double-1
    connections_max: 512
    breaker: ${process.argv[3] ?? '{}'}
    price: { version: bench, input_usd_per_million: 1, cached_input_usd_per_million: 0.5, output_usd_per_million: 4 }
`,
);
writeFileSync(
	join(dir, 'features/echo/contract.yaml'),
	`owner: bench
description: Measures the gateway.
objective: { latency_ms_p95: 1000 }
budget: { tokens_in_max: 2000, tokens_out_max: 200, cost_usd_max: 0.01, deadline_ms: 30000 }
prompt: echo
models: { route: [bench/double] }
`,
);
writeFileSync(
	join(dir, 'features/echo/prompts/echo.prompt'),
	`---
plimsoll.version: 1.0.0
plimsoll.owner: bench
plimsoll.changelog:
  1.0.0: First.
---
{{role "system"}}
You are a helpful assistant. Answer in one sentence.
{{history}}
{{role "user"}}
{{question}}
`,
);

const nothing = () => {};
const server = await serve(
	{ dir },
	{
		log: pino({ level: 'error' }, pino.destination(2)),
		events: {
			onIngestProgress: nothing,
			onIngested: nothing,
			onIngestFailed: nothing,
			onReloaded: nothing,
			onReloadRefused: nothing,
		},
	},
);
process.once('SIGTERM', async () => {
	await server.stop();
	rmSync(dir, { recursive: true, force: true });
	process.exit(0);
});
reportVitals();
sayReady({ url: server.url, key: server.developmentKey.secret });
