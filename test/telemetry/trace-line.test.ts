import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { VirtualClock } from '../../src/base/virtual-clock.ts';
import { traceLine } from '../../src/telemetry/trace-line.ts';
import { feature, hit, KEY, retrieverOf, runtimeOf } from '../support/runtime-fixture.ts';
import { ScriptedModel } from '../support/scripted-model.ts';
import { anyTrace, sampleTrace } from './sample-trace.ts';

const line = (fields: Record<string, unknown>) => traceLine(JSON.stringify({ ...sampleTrace(), ...fields }));

describe('trace line', () => {
	it('is the very text of any trace in the order of its members', () => {
		fc.assert(
			fc.property(anyTrace, (trace) => {
				const { steps, ...request } = trace;
				const ordered = JSON.stringify({
					...sampleTrace(),
					...request,
					steps: steps.map(({ seq, stage, started_ms, latency_ms, outcome, error_code, detail, attempts }) => {
						return { seq, stage, started_ms, latency_ms, outcome, error_code, detail, attempts };
					}),
				});
				expect(traceLine(ordered)).toBe(ordered);
			}),
		);
	});

	it('is the very text of what the runtime records: none is parsed on the way to the disk', async () => {
		const clock = new VirtualClock();
		const route = [
			new ScriptedModel(clock, [
				{ kind: 'fail', afterMs: 1, failure: 'server_error' },
				{ kind: 'answer', afterMs: 1, text: 'Hi.' },
			]),
		];
		const { runtime, traces } = runtimeOf(clock, [feature({ retrieval: {} }, { route })], {
			retriever: retrieverOf([hit(1, 'Say hello.')]),
		});
		const context = runtime.open();
		await runtime.admit(context, { kind: 'authorization', header: `Bearer ${KEY}`, scope: 'invoke' });
		const messages = [{ role: 'user' as const, content: 'Hello?' }];
		const answered = runtime.chat(context, {
			model: 'greet',
			messages,
			variables: {},
			parameters: {},
			sink: null,
			user: 'ada',
		});
		await clock.advance(10_000);
		await answered;
		const text = JSON.stringify(traces.last);
		expect(traces.last.steps.flatMap(({ attempts }) => attempts)).toHaveLength(2);
		expect(traceLine(text)).toBe(text);
	});

	it('puts members in order and leaves out what is none, at every level', () => {
		const reversed = (value: unknown): unknown => {
			if (Array.isArray(value)) return value.map(reversed);
			if (typeof value !== 'object' || value === null) return value;
			const members = Object.entries(value).map(([name, member]) => [
				name,
				name === 'detail' || name === 'guard_verdicts' ? member : reversed(member),
			]);
			return {
				...('seq' in value || 'steps' in value ? { extra: [{ a: 1 }] } : {}),
				...Object.fromEntries(members.reverse()),
			};
		};
		expect(traceLine(JSON.stringify(reversed(sampleTrace())))).toBe(JSON.stringify(sampleTrace()));
	});

	it('puts U+FFFD for lone surrogates, in values and names, and leaves pairs and backslashes alone', () => {
		const [first, ...rest] = sampleTrace().steps;
		const got = JSON.parse(
			line({
				feature: 'a\ud800',
				release: '🙂 \\ud800 \\\ud83d',
				retrieval_doc_ids: ['\udfff'],
				steps: [{ ...first, detail: { '\udc00': '\ud83d' } }, ...rest],
			}),
		);
		expect(got).toMatchObject({ feature: 'a\ufffd', release: '🙂 \\ud800 \\\ufffd', retrieval_doc_ids: ['\ufffd'] });
		expect(got.steps[0].detail).toEqual({ '\ufffd': '\ufffd' });
	});

	it.each<[string, Record<string, unknown>, RegExp]>([
		['a number for a text', { request_id: 7 }, /^request_id: expected VARCHAR, got 7$/],
		['a text for a number', { tokens_in: '7' }, /^tokens_in: expected BIGINT, got "7"$/],
		['a fraction for a whole number', { tokens_in: 1.5 }, /^tokens_in: expected BIGINT, got 1.5$/],
		['a whole number past the exact ones', { tokens_in: 2 ** 53 }, /^tokens_in: /],
		['a number that JSON has no form for', { latency_ms: Number.NaN }, /^latency_ms: expected DOUBLE, got null$/],
		['a number for a flag', { streamed: 1 }, /^streamed: expected BOOLEAN, got 1$/],
		['a text for a list', { retrieval_doc_ids: 'a' }, /^retrieval_doc_ids: /],
		['a list of the wrong things', { retrieval_scores: [1, null] }, /^retrieval_scores: /],
		['a nested detail', { steps: [{ ...sampleTrace().steps[0], detail: { a: [] } }] }, /^detail: /],
		['a missing member', { feature: undefined }, /^feature: expected VARCHAR, got nothing$/],
		['a missing list', { steps: null }, /^steps: expected a list, got null$/],
		['a step that is none', { steps: [[]] }, /^expected an object, got \[\]$/],
	])('is refused for %s', (_, fields, message) => {
		expect(() => line(fields)).toThrow(message);
	});

	it('takes the largest whole numbers and no object that is none', () => {
		for (const tokens_in of [0, -1, Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER, 8_999_999_999_999_999]) {
			expect(JSON.parse(line({ tokens_in })).tokens_in).toBe(tokens_in);
		}
		for (const text of ['null', '[]', '7', '"{}"']) expect(() => traceLine(text)).toThrow(/expected an object/);
	});

	it('is refused when it is far too long, before anything is searched in it', () => {
		expect(() => line({ feature: 'x'.repeat(1024 * 1024) })).toThrow(/of 1048576 at most/);
		expect(JSON.parse(line({ feature: '\n'.repeat(500_000) })).feature).toHaveLength(500_000);
	});
});
