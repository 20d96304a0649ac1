import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { RetryBudgets } from '../../src/policy/retry-budget.ts';

const SETTINGS = { ratio: 0.1, floor: 3, tenantFloor: 2, tenantsMax: 1000 };

const anyEvent = fc.record({
	kind: fc.constantFrom('request', 'retry', 'retry', 'retry'),
	upstream: fc.constantFrom('a/1', 'b/2', 'c/3'),
	tenant: fc.nat(20).map((n) => `tenant-${n}`),
});

/** Adds one to a count. */
function add(counts: Map<string, number>, name: string): void {
	counts.set(name, (counts.get(name) ?? 0) + 1);
}

describe('retry budgets', () => {
	it('never allow an upstream or a tenant more retries than its floor plus the ratio of its requests', () => {
		const settings = fc.record({
			ratio: fc.double({ min: 0, max: 1, noNaN: true }),
			floor: fc.nat(20),
			tenantFloor: fc.nat(20),
			tenantsMax: fc.constant(1000),
		});
		fc.assert(
			fc.property(settings, fc.array(anyEvent, { maxLength: 600 }), (chosen, events) => {
				const budgets = new RetryBudgets(chosen);
				const requests = new Map<string, number>();
				const retries = new Map<string, number>();
				for (const { kind, upstream, tenant } of events) {
					const counts = kind === 'request' ? requests : retries;
					if (kind === 'request') budgets.earn(upstream, tenant);
					else if (!budgets.spend(upstream, tenant)) continue;
					add(counts, upstream);
					add(counts, tenant);
					for (const [name, floor] of [[upstream, chosen.floor] as const, [tenant, chosen.tenantFloor] as const]) {
						const most = floor + chosen.ratio * (requests.get(name) ?? 0);
						expect(retries.get(name) ?? 0).toBeLessThanOrEqual(most + 1e-6);
					}
				}
			}),
		);
	});

	it('let a tenant that spent its own retry no more, and the next tenant still', () => {
		const budgets = new RetryBudgets({ ...SETTINGS, floor: 10 });
		while (budgets.spend('a/1', 'greedy'));
		expect(budgets.allows('a/1', 'greedy')).toBe(false);
		expect(budgets.spend('a/1', 'modest')).toBe(true);
	});

	it('keep the budgets of no more tenants than told, and forget the one that was silent longest', () => {
		const budgets = new RetryBudgets({ ...SETTINGS, floor: 1000, tenantsMax: 3 });
		while (budgets.spend('a/1', 'busy'));
		while (budgets.spend('a/1', 'silent'));
		for (let n = 0; n < 50; n++) {
			budgets.earn('a/1', `passing-${n % 10}`);
			expect(budgets.allows('a/1', 'busy')).toBe(false);
			expect(budgets.tenants).toBeLessThanOrEqual(3);
		}
		expect(budgets.allows('a/1', 'silent')).toBe(true);
	});

	it('do not save up for ever', () => {
		const budgets = new RetryBudgets({ ...SETTINGS, ratio: 1 });
		for (let i = 0; i < 1000; i++) budgets.earn('a/1', 'acme');
		let spent = 0;
		while (budgets.spend('a/1', 'acme')) spent++;
		expect(spent).toBe(100);
	});
});
