import type { Dispatcher } from 'undici';
import { beforeAll, describe, expect, it } from 'vitest';
import { seededRandom } from '../../src/base/random.ts';
import { VirtualClock } from '../../src/base/virtual-clock.ts';
import { SDK_FAMILIES, type SdkUpstream } from '../../src/models/ai-sdk/families.ts';
import type { FetchAttempt } from '../../src/models/ai-sdk/fetch-attempt.ts';
import { createSdkModel } from '../../src/models/ai-sdk/model.ts';
import { openPackage } from '../../src/models/ai-sdk/packages.ts';
import type { Fetch, Transport } from '../../src/models/ai-sdk/transport.ts';
import { createFailures } from '../../src/models/exchange/failure.ts';
import { StreamAttempt } from '../../src/models/openai-compatible/stream-attempt.ts';
import { type CompletionChunk, type Model, UpstreamError } from '../../src/spec/model.ts';
import { FAMILIES, modelRequest } from '../support/family-fixture.ts';
import { type RecordedStream, recordStreams, type StreamFormat, TEXT } from '../support/recorded-streams.ts';
import { type Damage, damaged } from '../support/stream-damage.ts';

/** Another seed, such as that of a failure, runs with FUZZ_SEED; more cases with FUZZ_SCALE. */
const SEED = Number(process.env.FUZZ_SEED ?? 1);
const SCALE = Number(process.env.FUZZ_SCALE ?? 1);
/** A stream of OpenAI's format is read by our own parser; the others go through their provider's package, which is dearer. */
const CASES: Readonly<Record<StreamFormat, number>> = { openai: 92_000, anthropic: 4_000, gemini: 4_000 };

interface Outcome {
	readonly text: string;
	readonly finished: number;
	/** Null: it ended well. */
	readonly error: UpstreamError | null;
}

const CONTROLLER: Dispatcher.DispatchController = {
	aborted: false,
	paused: false,
	reason: null,
	abort() {},
	pause() {},
	resume() {},
};
const HEADERS = { 'content-type': 'text/event-stream' };
const clock = new VirtualClock();
const failures = createFailures({ upstream: 'fuzz/one', secrets: [], clock });
const request = modelRequest();

type Feed = (attempt: Pick<StreamAttempt, 'onResponseData' | 'onResponseEnd' | 'onResponseError'>) => void;

function feedOf(pieces: readonly Buffer[], damage: Damage): Feed {
	return (attempt) => {
		for (const piece of pieces) attempt.onResponseData(CONTROLLER, piece);
		if (damage === 'reset') attempt.onResponseError(CONTROLLER, new Error('other side closed'));
		else attempt.onResponseEnd();
	};
}

async function openAi(feed: Feed): Promise<AsyncIterable<CompletionChunk>> {
	return new Promise((resolve, reject) => {
		const attempt = new StreamAttempt({ request, clock, failures }, resolve, reject);
		attempt.start(() => ({ recall: () => false }));
		attempt.onRequestStart(CONTROLLER);
		attempt.onResponseStart(CONTROLLER, 200, HEADERS);
		feed(attempt);
	});
}

/** A family behind its package, with the transport in the test's hands. */
function sdkModel(name: 'anthropic' | 'google'): { model: Model; next: (feed: Feed) => void } {
	const config = FAMILIES[name]?.config('http://127.0.0.1:1') as SdkUpstream;
	let [current, feed]: [FetchAttempt | null, Feed | null] = [null, null];
	const fetch: Fetch = async () => {
		const [attempt, give] = [current, feed];
		if (attempt === null || give === null) throw new Error('no attempt');
		return attempt.send((handler) => {
			queueMicrotask(() => {
				handler.onRequestStart?.(CONTROLLER, {});
				handler.onResponseStart?.(CONTROLLER, 200, HEADERS, 'OK');
				give(attempt);
			});
			return { recall: () => false };
		});
	};
	const transport = {
		fetch,
		run<T>(attempt: FetchAttempt, work: () => T): T {
			current = attempt;
			return work();
		},
		close: async () => {},
	};
	const { rules, end } = SDK_FAMILIES[name];
	const model = createSdkModel({
		upstream: config,
		open: () => openPackage(config, { door: fetch, clock, onClose: () => {} }),
		transport: transport as unknown as Transport,
		rules,
		end,
		providerOptions: {},
		secrets: [],
		region: null,
		clock,
		close: async () => {},
	});
	return {
		model,
		next: (give) => {
			feed = give;
		},
	};
}

const sdks = { anthropic: sdkModel('anthropic'), gemini: sdkModel('google') };

async function run(format: StreamFormat, feed: Feed): Promise<Outcome> {
	let [text, finished] = ['', 0];
	try {
		let stream: AsyncIterable<CompletionChunk>;
		if (format === 'openai') stream = await openAi(feed);
		else {
			sdks[format].next(feed);
			stream = await sdks[format].model.stream(request);
		}
		for await (const chunk of stream) {
			text += chunk.text;
			if (chunk.finishReason !== null) finished++;
		}
		return { text, finished, error: null };
	} catch (error) {
		if (!(error instanceof UpstreamError)) throw error;
		return { text, finished, error };
	}
}

/** Nothing of what a stream may do to us: the reason, or null. */
function fault(whole: string, damage: Damage, { text, finished, error }: Outcome): string | null {
	if (damage === 'split') {
		if (error !== null) return `a whole stream failed: ${error.message}`;
		if (text !== whole || finished !== 1) return 'a whole stream lost a part';
		return null;
	}
	if (error !== null) return null;
	if (finished !== 1) return `it ended well with ${finished} finish reasons`;
	const isCut = damage === 'truncated' || damage === 'reset';
	return isCut && text !== whole ? 'a truncated stream was a success' : null;
}

let streams: readonly RecordedStream[] = [];
beforeAll(async () => {
	streams = await recordStreams();
});

describe.each(Object.keys(CASES) as StreamFormat[])(
	'streams in the format of %s, split, cut and damaged at random',
	(format) => {
		it('neither hang nor crash the reader, and never end well before their end', { timeout: 240_000 }, async () => {
			const own = streams.filter((stream) => stream.format === format);
			const whole: Outcome[] = [];
			for (const { bytes } of own) whole.push(await run(format, feedOf([bytes], 'split')));
			expect(whole[0]).toEqual({ text: TEXT, finished: 1, error: null });
			const cases = CASES[format] * SCALE;
			const outcomes = new Set<string>();
			for (let index = 0; index < cases; index++) {
				const seed = SEED + index;
				const stream = own[seed % own.length] as RecordedStream;
				const { damage, pieces } = damaged(stream.bytes, seededRandom(seed));
				const say = (what: string) => `FUZZ_SEED=${seed} (${format}, ${damage}): ${what}`;
				const outcome = await run(format, feedOf(pieces, damage)).catch((error: unknown) => {
					throw new Error(say('the reader crashed'), { cause: error });
				});
				const found = fault(whole[seed % own.length]?.text ?? '', damage, outcome);
				if (found !== null) expect.fail(say(found));
				if (clock.pending > 2) expect.fail(say('a timer was left behind'));
				outcomes.add(`${damage}: ${outcome.error?.kind ?? 'ok'}`);
			}
			// The cases reach what they are for.
			expect([...outcomes]).toEqual(
				expect.arrayContaining(['split: ok', 'truncated: cut', 'corrupted: ok', 'event_lost: ok']),
			);
		});
	},
);
