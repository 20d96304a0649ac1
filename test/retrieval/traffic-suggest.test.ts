import { expect, it, onTestFinished } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import type { CanarySet } from '../../src/contracts/canary-set.ts';
import { TakenQueries } from '../../src/retrieval/taken-queries.ts';
import { suggestFromTraffic } from '../../src/retrieval/traffic-suggest.ts';
import type { Feedback } from '../../src/spec/feedback.ts';
import { openFieldIndex } from '../support/field-index.ts';

it('where a collection says who may find what, a question is asked in its tenant’s name, and so is its canary', async () => {
	const pay = (tenant: string) => ({ id: `${tenant}.md`, text: 'The pay of everybody on board.', fields: { tenant } });
	const access = { tenantField: 'tenant', sharedTenant: null, readersField: null, everyone: 'everyone' };
	const index = await openFieldIndex([pay('acme'), pay('beta')], new Map([['tenant', 'text']]), { config: { access } });
	onTestFinished(() => index.close());
	const set: CanarySet = {
		collection: 'docs',
		checks: { required: true, everyMs: 900_000, k: 5, recallMin: 0.8, sample: 200, alpha: 0.001 },
		groups: [],
	};
	const rating: Feedback = {
		...{ tenantId: 'acme', requestId: 'req_1', rater: 'v1:a', at: 1, score: 1, label: null, comment: null },
		...{ question: 'What is the pay on board?', correctedAnswer: null, feature: 'ask', collection: 'docs' },
		...{ passages: ['beta.md', 'acme.md'], generation: 'docs-g1', chunks: [] },
	};
	const { signal } = new AbortController();
	const suggest = (isRestricted: boolean) =>
		suggestFromTraffic(
			{ retriever: index.retriever, clock: systemClock },
			{
				...{ set, tenantId: 'acme', ratings: [rating], taken: new TakenQueries(set), count: 5, signal, isRestricted },
				deadline: Number.POSITIVE_INFINITY,
			},
		);
	const [own] = (await suggest(true)).suggestions;
	expect(own).toMatchObject({ documents: ['acme.md'], tenant: 'acme' });
	expect((await suggest(false)).suggestions[0]).toMatchObject({ tenant: null });
	expect((await suggest(false)).suggestions[0]?.documents).toHaveLength(2);
});
