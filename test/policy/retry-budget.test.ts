import fc from 'fast-check';
import { expect, it } from 'vitest';
import { RetryBudget } from '../../src/policy/retry-budget.ts';

it('never allows more retries than the floor plus the ratio of requests', () => {
	fc.assert(
		fc.property(fc.array(fc.constantFrom('request', 'retry'), { maxLength: 400 }), (events) => {
			const budget = new RetryBudget({ ratio: 0.2, floor: 3, max: 50 });
			let requests = 0;
			let retries = 0;
			for (const event of events) {
				if (event === 'request') {
					budget.earn();
					requests++;
				} else if (budget.spend()) {
					retries++;
				}
				expect(retries).toBeLessThanOrEqual(3 + requests * 0.2 + 1e-9);
			}
		}),
	);
});

it('does not save up beyond its maximum', () => {
	const budget = new RetryBudget({ ratio: 1, floor: 0, max: 5 });
	for (let i = 0; i < 100; i++) budget.earn();
	expect(Array.from({ length: 10 }, () => budget.spend()).filter(Boolean)).toHaveLength(5);
});
