/**
 * The upstream of the storm: well or down as told, and with a capacity above which it refuses, as providers do. Down, it
 * refuses most calls at once and works on some of them for nothing, which the payer pays for.
 */
import { systemClock } from '../../src/base/clock.ts';
import { type Plan, startUpstreamDouble } from '../../test/support/upstream-double.ts';
import { sayReady } from '../overhead/process.ts';

const [capacityPerS, scale] = process.argv.slice(2).map(Number) as [number, number];
const WELL: Plan = { latencyMs: 80 };
const REFUSED: Plan = { latencyMs: 20, status: 503, error: { message: 'overloaded' } };
const WASTED: Plan = { latencyMs: 1_300 * scale, status: 500, error: { message: 'failed at the end' } };

let isDown = false;
let attempts = 0;
let billed = 0;
/** Calls of the last second, as far as they have not been worked off. */
let load = 0;
let workedAt = systemClock.monotonic();

function isFull(): boolean {
	const now = systemClock.monotonic();
	load = Math.max(0, load - ((now - workedAt) / 1000) * capacityPerS);
	workedAt = now;
	if (load >= capacityPerS) return true;
	load++;
	return false;
}

const double = await startUpstreamDouble({
	plan() {
		attempts++;
		if (isFull()) return REFUSED;
		if (isDown && attempts % 4 !== 0) return REFUSED;
		billed++;
		return isDown ? WASTED : WELL;
	},
});
process.on('message', (message) => {
	if (message === 'break') isDown = true;
	if (message === 'heal') isDown = false;
	process.send?.({ attempts, billed });
});
sayReady({ url: double.url });
