import { describe, expect, it, onTestFinished } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import type { UpstreamConfig } from '../../src/contracts/project.ts';
import { createModel } from '../../src/models/create-model.ts';
import type { Model } from '../../src/spec/model.ts';
import { collect, FAMILIES, modelRequest, type TestedFamily } from '../support/family-fixture.ts';
import { type Plan, startUpstreamDouble, type UpstreamDouble } from '../support/upstream-double.ts';

const COUNTS = { tokensIn: 100, tokensOut: 20, tokensCached: 30, tokensCacheWritten: 0, tokensReasoning: 5 };
const BASES = { anthropic: '/v1', google: '/v1beta' };

async function start(family: keyof typeof BASES, plan: Plan): Promise<{ double: UpstreamDouble; model: Model }> {
	const double = await startUpstreamDouble({ plan });
	const { config } = FAMILIES[family] as TestedFamily;
	const url = double.url.replace(/\/v1$/, '');
	const model = createModel({ ...config(url), baseUrl: url + BASES[family] } as UpstreamConfig, { clock: systemClock });
	onTestFinished(async () => {
		await model.close();
		await double.close();
	});
	return { double, model };
}

describe.each(Object.keys(BASES) as (keyof typeof BASES)[])(
	'the product’s own family %s reads the double',
	(family) => {
		it('an answer and a stream, with what was counted', async () => {
			const { double, model } = await start(family, { text: 'Aye, aye.', counts: COUNTS });
			const usage = { ...COUNTS, source: 'reported' };
			expect(await model.complete(modelRequest())).toMatchObject({ text: 'Aye, aye.', finishReason: 'stop', usage });
			const chunks = await collect(await model.stream(modelRequest()));
			expect(chunks.map((chunk) => chunk.text).join('')).toBe('Aye, aye.');
			expect(chunks.at(-1)).toMatchObject({ finishReason: 'stop', usage });
			expect(double.requests).toBe(2);
		});

		it.each([429, 500, 503, 529])('a refusal with status %i, asked once', async (status) => {
			const { double, model } = await start(family, { status });
			const kind = status === 429 ? /^(?:rate_limited|quota)$/ : /^server_error$/;
			for (const answer of [model.complete(modelRequest()), model.stream(modelRequest())]) {
				await expect(answer).rejects.toMatchObject({ status, kind: expect.stringMatching(kind) });
			}
			expect(double.requests).toBe(2);
		});

		it('a cut stream, never as a whole one', async () => {
			for (const atByte of [1, 200, 700, 1100]) {
				const { model } = await start(family, {
					fault: 'cut',
					atByte,
					text: 'All of these words must have come. '.repeat(20),
				});
				const answer = (async () => collect(await model.stream(modelRequest())))();
				await expect(answer).rejects.toMatchObject({ kind: 'cut' });
			}
		});
	},
);
