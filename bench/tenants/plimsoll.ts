/** Plimsoll with two tenants that may each run ten requests at once, in front of one upstream. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pino from 'pino';
import { serve } from '../../src/app/serve.ts';
import { reportVitals, sayReady } from '../overhead/process.ts';

const dir = mkdtempSync(join(tmpdir(), 'plimsoll-bench-'));
mkdirSync(join(dir, 'features'));
writeFileSync(
	join(dir, 'plimsoll.yaml'),
	`server: { port: 0 }
limits: { concurrent_requests: 10 }
upstreams:
  bench/double:
    family: openai-compatible
    base_url: ${process.argv[2]}
    model: double-1
    price: { version: bench, input_usd_per_million: 1, output_usd_per_million: 4 }
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
const keyOf = async (tenantId: string) => {
	const ask = { name: tenantId, tenantId, scopes: ['invoke' as const], features: null, expiresAt: null };
	return (await server.services.keys.create(ask, 'process')).secret;
};
reportVitals();
sayReady({ url: server.url, flood: await keyOf('flood'), quiet: await keyOf('quiet') });
