/** The double is a part of the product: `plimsoll mock-upstream` (docs/guides/test-your-failure-policies.md). */
import { drawAt, type Plan } from '../../src/mock-upstream/plan.ts';

export { embed, openAiEmbeddings } from '../../src/mock-upstream/embeddings.ts';
export type { Fault, Plan } from '../../src/mock-upstream/plan.ts';
export {
	type DoubleOptions,
	startUpstreamDouble,
	type UpstreamDouble,
} from '../../src/mock-upstream/upstream-double.ts';

/** A plan for each request, chosen by seed: the same seed gives the same faults in the same order. */
export function seededPlans(seed: number, weighted: readonly (readonly [weight: number, plan: Plan])[]) {
	const sum = weighted.reduce((so, [weight]) => so + weight, 0);
	return (index: number): Plan => {
		let at = drawAt(seed, index) * sum;
		for (const [weight, plan] of weighted) {
			at -= weight;
			if (at < 0) return plan;
		}
		return {};
	};
}
