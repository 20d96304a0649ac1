import { expect, onTestFinished, test } from 'vitest';
import { createGuards } from '../../src/guards/guards.ts';
import { createPartCheck } from '../../src/guards/part-check.ts';
import { startGateway } from '../support/gateway-fixture.ts';
import { feature, KEY } from '../support/runtime-fixture.ts';
import { ALONE } from '../support/schema-reading.ts';
import type { Plan } from '../support/upstream-double.ts';

const SCHEMA = {
	type: 'object',
	required: ['port', 'depths'],
	properties: { port: { type: 'string' }, depths: { type: 'array', items: { type: 'integer' } } },
	additionalProperties: false,
};
const GOOD = '{ "port": "Kiel", "depths": [ 3, 10 ] }';

/** The events of one streamed invocation. */
async function invoke(
	plan: Plan,
	options: { stream?: 'immediate' | 'held' | 'buffered'; schema?: object | null } = {},
) {
	const { stream = 'immediate', schema = SCHEMA } = options;
	const outputSchema = schema as typeof SCHEMA | null;
	const guards = {
		outputSchema,
		reading: ALONE,
		structured: null,
		citations: 'off',
		abstention: null,
		answerCharsMax: 10_000,
	} as const;
	const gateway = await startGateway({
		upstream: { plan },
		features: (model) => [
			feature(
				{ feature: 'ask', stream, guards },
				{
					route: [model],
					guards: createGuards(guards),
					...(outputSchema && stream !== 'buffered' && { partCheck: createPartCheck(outputSchema, ALONE) }),
				},
			),
		],
	});
	onTestFinished(() => gateway.close());
	const response = await fetch(`${gateway.url}/v1/features/ask/invoke`, {
		method: 'POST',
		headers: { authorization: `Bearer ${KEY}`, 'content-type': 'application/json' },
		body: JSON.stringify({ input: { question: 'Where?' }, stream: true }),
	});
	const text = await response.text();
	const isStream = response.headers.get('content-type')?.startsWith('text/event-stream') === true;
	const events = isStream
		? text
				.split('\n\n')
				.filter(Boolean)
				.map((event) => event.replace('data: ', ''))
		: [];
	const isDone = events.at(-1) === '[DONE]';
	const told = events
		.filter((event) => event !== '[DONE]')
		.map((event) => JSON.parse(event) as Record<string, unknown>);
	return { status: response.status, text, isDone, told, gateway };
}

const partsOf = (told: readonly Record<string, unknown>[]) => told.flatMap(({ parts = [] }) => parts as unknown[]);

test('values are told as they are complete, and the whole at the end', async () => {
	const { told, isDone } = await invoke({ text: GOOD, chunks: 39 });
	expect(partsOf(told)).toEqual([
		{ path: '/port', value: 'Kiel' },
		{ path: '/depths/0', value: 3 },
		{ path: '/depths/1', value: 10 },
	]);
	expect(told.at(-1)).toMatchObject({
		object: 'feature.output',
		feature: 'ask',
		output: { port: 'Kiel', depths: [3, 10] },
		finish_reason: 'stop',
	});
	expect(isDone).toBe(true);
});

test('a value that does not fit ends the stream before it is told, and the upstream is cancelled', async () => {
	const wrong = '{ "port": "Kiel", "depths": [ 3, "ten", 4 ] }';
	const { told, isDone, gateway } = await invoke({ text: wrong, chunks: 45, gapMs: 20 });
	expect(partsOf(told)).toEqual([
		{ path: '/port', value: 'Kiel' },
		{ path: '/depths/0', value: 3 },
	]);
	expect(told.at(-1)?.error).toMatchObject({ code: 'guard_rejected', message: expect.stringContaining('/depths/1') });
	expect(isDone).toBe(false);
	await expect.poll(() => gateway.double.abortedCount, { timeout: 30_000 }).toBe(1);
	await expect.poll(() => gateway.traces.traces.length, { timeout: 30_000 }).toBe(1);
	expect(gateway.traces.last).toMatchObject({
		error_code: 'guard_rejected',
		outcome: 'refused',
		guard_verdicts: [
			{ guard: 'schema', verdict: 'fail', reason: expect.stringContaining('/depths/1 must be integer') },
		],
	});
	expect(gateway.traces.last.cost_usd_micros).toBeGreaterThan(0);
});

test('what is no JSON from its first word on is an ordinary error', async () => {
	const { status, text } = await invoke({ text: 'Here it is: {}', chunks: 8 });
	expect(status).toBe(422);
	expect(JSON.parse(text).error.code).toBe('guard_rejected');
});

test('a stream that is cut has told parts, and ends with an error', async () => {
	const { told, isDone } = await invoke({ text: GOOD, chunks: 39, fault: 'cut', afterChunks: 25 });
	expect(partsOf(told)).toContainEqual({ path: '/port', value: 'Kiel' });
	expect(told.at(-1)?.error).toMatchObject({ code: 'upstream_stream_cut' });
	expect(isDone).toBe(false);
});

test('a held feature tells the same, once its window has passed', async () => {
	const long = `{ "port": "Kiel", "depths": [ ${Array.from({ length: 300 }, (_, index) => index).join(', ')} ] }`;
	const { told, isDone } = await invoke({ text: long, chunks: 100 }, { stream: 'held' });
	expect(partsOf(told).slice(0, 2)).toEqual([
		{ path: '/port', value: 'Kiel' },
		{ path: '/depths/0', value: 0 },
	]);
	expect(told.at(-1)).toMatchObject({ object: 'feature.output', output: JSON.parse(long) });
	expect(isDone).toBe(true);
});

test('a buffered feature tells the whole, and nothing before', async () => {
	const { told, isDone } = await invoke({ text: GOOD, chunks: 39 }, { stream: 'buffered' });
	expect(told).toMatchObject([{ object: 'feature.output', output: { port: 'Kiel', depths: [3, 10] } }]);
	expect(isDone).toBe(true);
});

test('a feature without a schema tells text', async () => {
	const { told } = await invoke({ text: 'In Kiel it is.', chunks: 3 }, { schema: null });
	expect(
		told
			.slice(0, -1)
			.map(({ text }) => text)
			.join(''),
	).toBe('In Kiel it is.');
	expect(told.at(-1)).toMatchObject({ object: 'feature.output', output: 'In Kiel it is.' });
});
