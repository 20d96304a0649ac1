/** The upstream of the overhead benchmark: healthy, of one latency. */
import { parseArgs } from 'node:util';
import { startUpstreamDouble } from '../../test/support/upstream-double.ts';
import { reportVitals, sayReady } from './process.ts';

const { values } = parseArgs({ options: { 'latency-ms': { type: 'string' }, chunks: { type: 'string' } } });
const double = await startUpstreamDouble({
	plan: { latencyMs: Number(values['latency-ms']), chunks: Number(values.chunks) },
});
reportVitals();
sayReady({ url: double.url });
