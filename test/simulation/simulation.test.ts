import { describe, expect, it } from 'vitest';
import type { Mutation } from './cluster.ts';
import { MUTANTS } from './mutants.ts';
import { drawScenario } from './scenario.ts';
import { type Result, simulate } from './simulation.ts';
import { failureText } from './summary.ts';

/** `npm run sim -- --seeds 1000` runs more of them. */
const SEEDS = 6;
/** A mutant shows in one of so many; the first is enough. */
const MUTANT_SEEDS = 24;
const REQUESTS = 200;
/** For what hangs, not for what is slow. */
const TEST_MS_MAX = 120_000;

const ALL = Array.from({ length: 100 }, (_, at) => at + 1);
const CALM = ALL.filter((seed) => drawScenario(seed, { requests: REQUESTS, replicas: null }).isCalm);

async function seedsUntilViolation(seeds: readonly number[], mutation?: Mutation): Promise<Result | null> {
	for (const seed of seeds) {
		const result = await simulate({ seed, requests: REQUESTS, replicas: null, ...(mutation && { mutation }) });
		if (result.violation !== null) return result;
	}
	return null;
}

describe('simulation', { timeout: TEST_MS_MAX }, () => {
	it('every invariant holds after every event, under seeded load and faults', async () => {
		const failed = await seedsUntilViolation([...ALL.slice(0, SEEDS), ...CALM.slice(0, 2)]);
		expect(
			failed === null ? '' : failureText(failed, `npm run sim -- --seed ${failed.seed} --requests ${REQUESTS}`),
		).toBe('');
	});

	it('a seed says exactly what happens, again and again', async () => {
		const run = () => simulate({ seed: 7, requests: 150, replicas: 3 });
		const [first, second] = [await run(), await run()];
		expect(second).toEqual(first);
		expect(first.digest).not.toBe((await simulate({ seed: 8, requests: 150, replicas: 3 })).digest);
	});

	it.each(MUTANTS)('notices, as invariant $breaks: $name', async ({ breaks, mutation, isOfCalm }) => {
		const failed = await seedsUntilViolation((isOfCalm ? CALM : ALL).slice(0, MUTANT_SEEDS), mutation);
		expect(failed?.violation).toMatchObject({ invariant: breaks });
		// What is reported is what happens again.
		const again = await simulate({ seed: failed?.seed ?? 0, requests: REQUESTS, replicas: null, mutation });
		expect(again).toEqual(failed);
	});
});
