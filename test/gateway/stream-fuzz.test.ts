import { describe, expect, it, onTestFinished } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { seededRandom } from '../../src/base/random.ts';
import { createModel } from '../../src/models/create-model.ts';
import { FAMILIES } from '../support/family-fixture.ts';
import { startGateway } from '../support/gateway-fixture.ts';
import { recordStreams, type StreamFormat, TEXT } from '../support/recorded-streams.ts';
import { KEY } from '../support/runtime-fixture.ts';
import { damaged } from '../support/stream-damage.ts';
import { type Plan, startUpstreamDouble } from '../support/upstream-double.ts';

/** The same harm as in test/models/stream-fuzz.test.ts, here through sockets, the runtime and the gateway: some of it, since it is slow. */
const CASES = 60;
const SEED = Number(process.env.FUZZ_SEED ?? 1);

const MODEL_NAMES: Readonly<Record<StreamFormat, string>> = {
	openai: 'test/primary',
	anthropic: 'double/default',
	gemini: 'double/default',
};

/** A gateway over a double that answers as `plan` says at that moment. */
async function start(format: StreamFormat, plan: () => Plan): Promise<string> {
	if (format === 'openai') return (await gatewayOf({ upstream: { plan } })).url;
	const double = await startUpstreamDouble({ plan });
	const family = FAMILIES[format === 'gemini' ? 'google' : 'anthropic'];
	if (!family) throw new Error(`no family speaks ${format}`);
	const model = createModel(family.config(double.url.replace(/\/v1$/, '')), { clock: systemClock });
	onTestFinished(async () => {
		await model.close();
		await double.close();
	});
	return (await gatewayOf({ model })).url;
}

async function gatewayOf(options: Parameters<typeof startGateway>[0]) {
	const gateway = await startGateway(options);
	onTestFinished(() => gateway.close());
	return gateway;
}

/** A stream that is cut in the middle of it, or one that arrives whole with other bytes. */
function planOf(bytes: Buffer, seed: number): { plan: Plan; isCut: boolean } {
	const random = seededRandom(seed);
	const { damage, bytes: bad } = damaged(bytes, random);
	if (damage === 'reset') {
		return { plan: { text: TEXT, fault: 'cut', atByte: Math.floor(random.next() * bytes.length) }, isCut: true };
	}
	return { plan: { body: bad.toString() }, isCut: damage === 'truncated' };
}

async function ask(url: string, model: string): Promise<{ text: string; isDone: boolean; hasFailed: boolean }> {
	const response = await fetch(`${url}/v1/chat/completions`, {
		method: 'POST',
		headers: { authorization: `Bearer ${KEY}`, 'content-type': 'application/json' },
		body: JSON.stringify({ model, messages: [{ role: 'user', content: 'What?' }], stream: true }),
		signal: AbortSignal.timeout(60_000),
	});
	const body = await response.text();
	if (response.status !== 200) return { text: '', isDone: false, hasFailed: true };
	const events = body
		.split('\n\n')
		.filter(Boolean)
		.map((event) => event.replace('data: ', ''));
	const told = events.filter((event) => event !== '[DONE]').map((event) => JSON.parse(event));
	const text = told.map(({ choices }) => choices?.[0]?.delta?.content ?? '').join('');
	return { text, isDone: events.at(-1) === '[DONE]', hasFailed: told.some(({ error }) => error !== undefined) };
}

describe.each(Object.keys(MODEL_NAMES) as StreamFormat[])(
	'damaged streams in the format of %s, over HTTP',
	(format) => {
		it('reach a client whole with [DONE], or with an error and without it', { timeout: 240_000 }, async () => {
			const recorded = (await recordStreams()).find((stream) => stream.format === format);
			let next: Plan | null = null;
			// Whoever is asked once more answers.
			const url = await start(format, () => {
				const plan = next ?? { text: TEXT };
				next = null;
				return plan;
			});
			let done = 0;
			for (let seed = SEED; seed < SEED + CASES; seed++) {
				const { plan, isCut } = planOf(recorded?.bytes ?? Buffer.alloc(0), seed);
				next = plan;
				const { text, isDone, hasFailed } = await ask(url, MODEL_NAMES[format]);
				const say = `FUZZ_SEED=${seed} (${format})`;
				expect(isDone, say).toBe(!hasFailed);
				if (isDone && isCut) expect(text, say).toBe(TEXT);
				if (isDone) done++;
			}
			expect(done).toBeGreaterThan(0);
			expect(done).toBeLessThan(CASES);
		});
	},
);
