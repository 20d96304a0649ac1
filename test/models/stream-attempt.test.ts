import fc from 'fast-check';
import type { Dispatcher } from 'undici';
import { expect, it } from 'vitest';
import { VirtualClock } from '../../src/base/virtual-clock.ts';
import { createFailures } from '../../src/models/exchange/failure.ts';
import { StreamAttempt } from '../../src/models/openai-compatible/stream-attempt.ts';
import { type CompletionChunk, UpstreamError } from '../../src/spec/model.ts';

// Streams in the exact form of OpenAI, vLLM, llama.cpp and Azure, shortened.
const RECORDED = [
	[
		'data: {"id":"chatcmpl-B1","object":"chat.completion.chunk","created":1730000000,"model":"gpt-4o-mini-2024-07-18","service_tier":"default","system_fingerprint":"fp_06737a9306","choices":[{"index":0,"delta":{"role":"assistant","content":"","refusal":null},"logprobs":null,"finish_reason":null}],"usage":null,"obfuscation":"k2"}\n\n',
		'data: {"id":"chatcmpl-B1","object":"chat.completion.chunk","created":1730000000,"model":"gpt-4o-mini-2024-07-18","service_tier":"default","system_fingerprint":"fp_06737a9306","choices":[{"index":0,"delta":{"content":"Tiefgang: 3 µm 🚢"},"logprobs":null,"finish_reason":null}],"usage":null,"obfuscation":"Xy"}\n\n',
		'data: {"id":"chatcmpl-B1","object":"chat.completion.chunk","created":1730000000,"model":"gpt-4o-mini-2024-07-18","service_tier":"default","system_fingerprint":"fp_06737a9306","choices":[{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}],"usage":null,"obfuscation":"q"}\n\n',
		'data: {"id":"chatcmpl-B1","object":"chat.completion.chunk","created":1730000000,"model":"gpt-4o-mini-2024-07-18","service_tier":"default","system_fingerprint":"fp_06737a9306","choices":[],"usage":{"prompt_tokens":9,"completion_tokens":7,"total_tokens":16,"prompt_tokens_details":{"cached_tokens":0,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":0}},"obfuscation":"L"}\n\n',
		'data: [DONE]\n\n',
	],
	[
		': ping\r\n\r\n',
		'data: {"choices":[],"created":0,"id":"","model":"","object":"","prompt_filter_results":[{"prompt_index":0,"content_filter_results":{}}]}\r\n\r\n',
		'data: {"choices":[{"index":0,"delta":{"role":"assistant","tool_calls":[{"index":0,"id":"call_1","type":"function","function":{"name":"f","arguments":"{\\"a\\":"}}]},"finish_reason":null}],"id":"x","model":"m"}\r\n\r\n',
		'data: {"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"1}"}}]},"finish_reason":null}],"id":"x","model":"m"}\r\n\r\n',
		'data: {"choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}],"id":"x","model":"m","usage":{"prompt_tokens":5,"completion_tokens":3}}\r\n\r\n',
		'data: [DONE]\r\n\r\n',
	],
];

interface Outcome {
	readonly chunks: readonly CompletionChunk[];
	readonly error: UpstreamError | null;
}

const never = new AbortController().signal;
const failures = createFailures({ upstream: 'fuzz/one', secrets: [], clock: new VirtualClock() });

/** An attempt with the transport in the test's hands. */
function accepted() {
	const clock = new VirtualClock();
	const timeouts = { connectMs: 10, firstTokenMs: 10, idleMs: 10, totalMs: 1000 };
	const request = { messages: [], parameters: {}, grounding: null, signal: never, timeouts };
	const calls: string[] = [];
	const controller: Dispatcher.DispatchController = {
		aborted: false,
		paused: false,
		reason: null,
		abort: () => calls.push('abort'),
		pause: () => calls.push('pause'),
		resume: () => calls.push('resume'),
	};
	const streams: AsyncIterable<CompletionChunk>[] = [];
	const attempt = new StreamAttempt(
		{ request, clock, failures },
		(stream) => streams.push(stream),
		() => expect.unreachable('a 200 with an event stream is accepted'),
	);
	attempt.start(() => ({ recall: () => false }));
	attempt.onRequestStart(controller);
	attempt.onResponseStart(controller, 200, { 'content-type': 'text/event-stream' });
	const [stream] = streams;
	if (!stream) throw new Error('the stream was not accepted');
	return { attempt, controller, clock, calls, chunks: stream[Symbol.asyncIterator]() };
}

/** Runs the bytes through an attempt as undici would, then ends the body or breaks the connection. */
async function run(pieces: readonly Buffer[], end: 'end' | 'reset'): Promise<Outcome> {
	const { attempt, controller, clock, chunks: stream } = accepted();
	for (const piece of pieces) attempt.onResponseData(controller, piece);
	if (end === 'end') attempt.onResponseEnd();
	else attempt.onResponseError(controller, new Error('other side closed'));
	expect(clock.pending).toBe(0);
	const chunks: CompletionChunk[] = [];
	try {
		for (let next = await stream.next(); !next.done; next = await stream.next()) chunks.push(next.value);
	} catch (error) {
		if (!(error instanceof UpstreamError)) throw error;
		return { chunks, error };
	}
	return { chunks, error: null };
}

function cut(bytes: Buffer, places: readonly number[]): Buffer[] {
	const sorted = [...new Set([0, ...places.map((place) => place % (bytes.length + 1)), bytes.length])].sort(
		(a, b) => a - b,
	);
	return sorted.slice(1).map((end, i) => bytes.subarray(sorted[i], end));
}

const recorded = fc.constantFrom(...RECORDED).map((events) => Buffer.from(events.join('')));
const places = fc.array(fc.nat(), { maxLength: 30 });
const finished = ({ chunks }: Outcome) => chunks.filter((chunk) => chunk.finishReason !== null).length;

it('a whole stream gives the same chunks however it is cut', async () => {
	await fc.assert(
		fc.asyncProperty(recorded, places, async (bytes, cuts) => {
			const whole = await run([bytes], 'end');
			expect(whole.error).toBeNull();
			expect(finished(whole)).toBe(1);
			expect(whole.chunks.filter((chunk) => chunk.usage !== null)).toHaveLength(1);
			expect(await run(cut(bytes, cuts), 'end')).toEqual(whole);
		}),
		{ numRuns: 1500 },
	);
});

it('a truncated stream is never a success: it ends well only after its finish reason', async () => {
	await fc.assert(
		fc.asyncProperty(recorded, fc.nat(), places, fc.constantFrom('end', 'reset'), async (bytes, at, cuts, end) => {
			const part = bytes.subarray(0, at % bytes.length);
			const outcome = await run(cut(part, cuts), end);
			expect(outcome.error === null).toBe(finished(outcome) === 1);
			const complete = /"finish_reason":"\w+"[^\r\n]*\}\r?\n/.test(part.toString());
			if (outcome.error === null) expect(part.toString()).toMatch(/"finish_reason":"\w+"/);
			if (complete) expect(outcome.error).toBeNull();
		}),
		{ numRuns: 3000 },
	);
});

it('a corrupted stream neither hangs nor crashes, and succeeds only with a finish reason', async () => {
	const damage = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 6 });
	await fc.assert(
		fc.asyncProperty(recorded, damage, places, async (bytes, hits, cuts) => {
			const bad = Buffer.from(bytes);
			for (const [at, byte] of hits) bad[at % bad.length] = byte;
			const outcome = await run(cut(bad, cuts), 'end');
			expect(finished(outcome)).toBeLessThanOrEqual(1);
			if (outcome.error === null) expect(finished(outcome)).toBe(1);
			expect(['nonsense', 'cut', 'server_error', undefined]).toContain(outcome.error?.kind);
		}),
		{ numRuns: 3000 },
	);
});

it('noise neither hangs nor crashes', async () => {
	await fc.assert(
		fc.asyncProperty(fc.uint8Array({ maxLength: 400 }), places, async (noise, cuts) => {
			expect((await run(cut(Buffer.from(noise), cuts), 'end')).error).not.toBeNull();
		}),
		{ numRuns: 1500 },
	);
});

it('a consumer that does not read holds the upstream back, and its own silence is not the upstream’s', async () => {
	const { attempt, controller, clock, calls, chunks } = accepted();
	const event = Buffer.from(`data: {"choices":[{"delta":{"content":"${'x'.repeat(60_000)}"}}]}\n\n`);
	let sent = 0;
	while (!calls.includes('pause')) {
		attempt.onResponseData(controller, event);
		sent++;
	}
	expect(sent * event.length).toBeLessThan(1.2 * 1024 * 1024);
	await clock.advance(500);
	expect(calls).toEqual(['pause']);
	for (let taken = 0; taken < sent; taken++) expect((await chunks.next()).done).toBe(false);
	expect(calls).toEqual(['pause', 'resume']);
	const silent = chunks.next();
	const failed = expect(silent).rejects.toMatchObject({ kind: 'timeout_idle' });
	await clock.advance(10);
	await failed;
	expect(calls).toEqual(['pause', 'resume', 'abort']);
});
