import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { benchExtractive } from '../../bench/extractive.ts';
import { VirtualClock } from '../../src/base/virtual-clock.ts';
import type { UpstreamConfig } from '../../src/contracts/project.ts';
import { createModel } from '../../src/models/create-model.ts';
import { ABSTENTION } from '../../src/models/extractive/model.ts';
import type { ModelRequest } from '../../src/spec/model.ts';
import type { Passage } from '../../src/spec/retrieval.ts';
import { flatPrice } from '../support/prices.ts';
import { NO_SHARED_DATA, sharedData } from '../support/shared-data.ts';

const timeouts = { connectMs: 1000, firstTokenMs: 1000, idleMs: 1000, totalMs: 1000 };
const config: UpstreamConfig = {
	name: 'local/extractive',
	provider: 'local',
	model: 'extractive',
	family: 'extractive',
	available: true,
	switchedOnBy: [],
	baseUrl: null,
	apiKey: null,
	connectionsMax: 1,
	breaker: null,
	schemaDialect: null,
	providerOptions: {},
	contextTokensMax: 100_000,
	tokensOutMax: 1000,
	tokensOutParameter: 'max_tokens',
	tokenizer: 'o200k_base',
	sideEffects: false,
	continuesTurn: false,
	timeouts,
	price: flatPrice('local', 0, 0),
	priceFrom: null,
};
const clock = new VirtualClock();
const model = createModel(config, { clock });

function passage(text: string, title = 'Ships'): Passage {
	return {
		chunkId: title,
		documentId: title,
		source: 's',
		title,
		headingPath: [],
		text,
		start: 0,
		end: text.length,
		ordinal: 0,
		tokens: 10,
		fields: {},
	};
}

const PASSAGES = [
	passage(
		'A Plimsoll line is a mark on the hull of a ship. It was made compulsory in Britain by the Merchant Shipping Act of 1876. Samuel Plimsoll, a member of parliament, had campaigned for it since 1868.',
	),
	passage('## Opening hours\n\nThe museum opens at 9:30. Entry costs 12 euros.[2]', 'Museum'),
];

function request(
	question: string,
	passages: readonly Passage[] = PASSAGES,
	signal = new AbortController().signal,
): ModelRequest {
	return { messages: [], parameters: {}, grounding: { question, passages, abstention: null }, signal, timeouts };
}

describe('the extractive reader', () => {
	it.each([
		['Who campaigned for the Plimsoll line?', 'Samuel Plimsoll', '[1]'],
		['When was the Plimsoll line made compulsory in Britain?', '1876', '[1]'],
		['How much does entry to the museum cost?', 'Entry costs 12 euros. [2]', '[2]'],
	])('%s', async (question, answer, citation) => {
		const completion = await model.complete(request(question));
		expect(completion.text).toContain(answer);
		expect(completion.text).toContain(citation);
		expect(completion).toMatchObject({ finishReason: 'stop', toolCalls: null, raw: null });
		expect(completion.confidence).toBeGreaterThan(0.4);
		expect(completion.usage).toMatchObject({ source: 'estimated', tokensCached: 0 });
		expect(completion.usage?.tokensIn).toBeGreaterThan(20);
	});

	it.each([
		['What is the boiling point of helium?', PASSAGES],
		['Who founded Rome?', PASSAGES],
		['Who?', []],
		['', PASSAGES],
		['Anything?', [passage(''), passage('## Only a heading')]],
	])('abstains when nothing fits: %s', async (question, passages) => {
		const completion = await model.complete(request(question, passages));
		expect(completion).toMatchObject({ text: ABSTENTION, finishReason: 'stop' });
		expect(completion.confidence).toBeLessThan(0.4);
	});

	it('abstains in the words that the feature gives it', async () => {
		const asked = request('Who founded Rome?');
		const grounding = { question: 'Who founded Rome?', passages: PASSAGES, abstention: 'The manual does not say.' };
		expect((await model.complete({ ...asked, grounding })).text).toBe('The manual does not say.');
	});

	it('streams by sentence what it would answer at once', async () => {
		for (const question of ['Who campaigned for the Plimsoll line?', 'Who founded Rome?']) {
			const whole = await model.complete(request(question));
			const chunks = [];
			for await (const chunk of await model.stream(request(question))) chunks.push(chunk);
			expect(chunks.map((chunk) => chunk.text).join('')).toBe(whole.text);
			expect(chunks.at(-1)).toMatchObject({ finishReason: 'stop', usage: whole.usage, confidence: whole.confidence });
			expect(chunks.slice(0, -1).every((chunk) => chunk.finishReason === null)).toBe(true);
		}
	});

	it('refuses when the caller has left', async () => {
		const failed = model.complete(request('Who?', PASSAGES, AbortSignal.abort()));
		await expect(failed).rejects.toMatchObject({ name: 'UpstreamError', kind: 'cancelled' });
		await expect(model.stream(request('Who?', PASSAGES, AbortSignal.abort()))).rejects.toMatchObject({
			kind: 'cancelled',
		});
	});

	it('takes any text: confidence in [0, 1], valid citations, the same answer twice', async () => {
		const text = fc.string({ unit: 'binary', maxLength: 300 });
		const markdown = fc
			.array(fc.constantFrom('# ', '| ', '- ', '```', '\n', '. ', '[1](', 'Ship', '9', ' ', '**', '`', '---'))
			.map((parts) => parts.join(''));
		const any = fc.oneof(text, markdown);
		await fc.assert(
			fc.asyncProperty(any, fc.array(any, { maxLength: 4 }), async (question, texts) => {
				const asked = request(
					question,
					texts.map((one) => passage(one)),
				);
				const completion = await model.complete(asked);
				expect(completion.confidence).toBeGreaterThanOrEqual(0);
				expect(completion.confidence).toBeLessThanOrEqual(1);
				for (const [, n] of completion.text.matchAll(/\[(\d+)\]/g)) expect(texts[Number(n) - 1]).toBeDefined();
				expect(await model.complete(asked)).toEqual(completion);
			}),
			{ numRuns: 500 },
		);
	});

	// Each would take minutes with one quadratic step; the test's own time-out is the bound.
	it.each([
		'a',
		'. ',
		'! ',
		'!',
		'[',
		'<a ',
		'`',
		'| ',
		'# ',
		'*',
		'word ',
		'A.',
		'[a](',
		'> ',
		'\n',
		'1. ',
		'Ship 9 ',
	])('takes huge input of %j in bounded time', async (unit) => {
		const huge = unit.repeat(1_000_000 / unit.length);
		await model.complete(request(huge.slice(0, 100_000), [passage(huge), passage(huge), passage(`Ships. ${huge}`)]));
	});
});

describe('a configured upstream', () => {
	it.each([[null], ['not a url'], ['ftp://x/v1'], ['https://user:pw@x/v1']])(
		'with base URL %s is refused by name',
		(baseUrl) => {
			const wrong = { ...config, name: 'x/y', family: 'anthropic' as const, baseUrl };
			expect(() => createModel(wrong, { clock })).toThrow(/upstreams\.x\/y\.base_url/);
		},
	);
});

describe.skipIf(sharedData('squad2-dev') === null)(`on SQuAD 2.0 (skipped where ${NO_SHARED_DATA})`, () => {
	it('quotes a sentence with the answer in at least three of four, and decides better than a fixed guess', async () => {
		const report = await benchExtractive('held_out');
		expect(report?.bestHoldsAnswer).toBeGreaterThan(0.85);
		expect(report?.quoteHoldsAnswer).toBeGreaterThan(0.9);
		expect(report?.decisionAccuracy).toBeGreaterThan(0.6);
		expect(report?.decisionAccuracy).toBeGreaterThan(report?.alwaysAbstainAccuracy ?? 1);
		expect(report?.offTopicAbstains).toBeGreaterThan(0.95);
	});
});
