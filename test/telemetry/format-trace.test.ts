import { stripVTControlCharacters } from 'node:util';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatTrace } from '../../src/telemetry/format-trace.ts';
import { anyTrace, sampleTrace } from './sample-trace.ts';

const plain = { colour: false, width: 100 };

describe('a formatted trace', () => {
	it('shows what answered, at what price, and where the time went', () => {
		expect(formatTrace(sampleTrace(), { ...plain, objectiveMs: 800 })).toBe(
			`req_01jxt21q1wb01t7dvkg4jmzbh2  ok  912 ms, 800 ms promised at p95
2025-06-15T15:06:40.060Z

feature   support-answer · release 0123456789ab · control
caller    tenant acme · key k1 · user abababababababab
model     gpt-x-2026-10-01 · via openai/gpt-x · fp_44709d6fcb
tokens    1,803 in (1,024 cached), 203 out
cost      $0.001237 (reported, prices 2026-11-01)
prompt    answer@1.2.0 · sha256 cdcdcdcdcdcdcdcd
index     docs at gen_1
answer    streamed · first token after 237 ms · ended by stop · 1 retry

  step           took  0 ················ 912 ms
✓ retrieve    13.2 ms  ▏                    │     mode hybrid · hits 8 · lexical 3.2 ms
                                                  vector none · complete true
✓ generate     882 ms  █████████████████████████
  ├ try 1      300 ms  █████████            │     timeout · openai/gpt-x · 0 in, 0 out · $0
                                                  no first token within 300 ms
  └ try 2      580 ms          █████████████████  ok · openai/gpt-x · gpt-x-2026-10-01
                                                  first token 210 ms · 1,803 in, 203 out · $0.001237
                                                  chatcmpl-1

passages   [1]   0.9123  docs/a.md#1
           [2]   0.5000  docs/b.md#7

guards    pass  schema
          fail  citations: cites [9], which is none of the passages
`,
		);
	});

	it('says why a request ended early, and nothing about what it never reached', () => {
		const refused = sampleTrace({
			outcome: 'refused',
			error_code: 'key_invalid',
			tenant_id: null,
			key_id: null,
			user_id_hash: null,
			feature: null,
			release: null,
			variant: null,
			prompt_name: null,
			prompt_hash: null,
			upstream: null,
			model_name: null,
			provider_fingerprint: null,
			retrieval_generation: null,
			retrieval_doc_ids: [],
			retrieval_scores: [],
			guard_verdicts: [],
			cost_usd_micros: 0,
			cost_source: null,
			price_version: null,
			tokens_in: 0,
			tokens_out: 0,
			tokens_cached: 0,
			latency_ms: 0.42,
			steps: [],
		});
		expect(formatTrace(refused, plain)).toBe(
			`req_01jxt21q1wb01t7dvkg4jmzbh2  refused key_invalid  420 µs
2025-06-15T15:06:40.060Z

tokens    0 in, 0 out
cost      $0
`,
		);
	});

	it('fits any trace into the width, on lines of its own, without a control character', () => {
		fc.assert(
			fc.property(anyTrace, fc.constantFrom(80, 120), (trace, width) => {
				const text = formatTrace({ ...trace, started_at: 1e12 }, { colour: false, width });
				expect(text).not.toMatch(/(?!\n)[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u);
			}),
			{ numRuns: 200 },
		);
		for (const width of [80, 120]) {
			const lines = formatTrace(sampleTrace(), { colour: false, width, objectiveMs: 2_000 }).split('\n');
			expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(width);
		}
	});

	it('cannot be made to move the cursor, recolour the terminal, or fake a line by what clients and providers send', () => {
		const hostile = '\u001b[2J\u001b]0;owned\u0007\u001b[31mred\r\nok  \u202Ereversed\u2028next\u009b1m';
		const trace = sampleTrace({
			request_id: hostile,
			feature: hostile,
			model_name: hostile,
			error_code: hostile,
			retrieval_doc_ids: [hostile],
			guard_verdicts: [{ guard: hostile, verdict: 'fail', reason: hostile }],
			steps: sampleTrace().steps.map((step) => ({
				...step,
				detail: { [hostile]: hostile },
				attempts: step.attempts.map((attempt) => ({ ...attempt, outcome: hostile, error: hostile })),
			})),
		});
		const text = formatTrace(trace, plain);
		expect(text).not.toMatch(/(?!\n)[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u);
		expect(text).not.toMatch(/^ok/m);
		expect(stripVTControlCharacters(formatTrace(trace, { ...plain, colour: true }))).toBe(text);
	});

	it('has colours only when asked, and the same text with them', () => {
		const coloured = formatTrace(sampleTrace(), { ...plain, colour: true });
		expect(coloured).toContain('\u001b[');
		expect(formatTrace(sampleTrace(), plain)).not.toContain('\u001b');
		expect(stripVTControlCharacters(coloured)).toBe(formatTrace(sampleTrace(), plain));
	});
});
