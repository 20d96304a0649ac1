import Anthropic from '@anthropic-ai/sdk';
import OpenAI from 'openai';
import { describe, expect, it, onTestFinished } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { IMAGE_LIMITS } from '../../src/contracts/image-limits.ts';
import { createOpenAiCompatibleModel } from '../../src/models/openai-compatible/model.ts';
import type { ImageRules, Upstream } from '../../src/spec/model.ts';
import { startGateway, UPSTREAM } from '../support/gateway-fixture.ts';
import { feature, IMAGES, KEY } from '../support/runtime-fixture.ts';
import { dataUrl, IMAGES_37_BY_21, pngOf } from '../support/tiny-images.ts';
import { startUpstreamDouble } from '../support/upstream-double.ts';

const PNG = dataUrl(IMAGES_37_BY_21.png);

async function start({
	images = {},
	upstream = {},
}: {
	images?: Partial<ImageRules>;
	upstream?: Partial<Upstream>;
} = {}) {
	const double = await startUpstreamDouble({ record: true });
	const model = createOpenAiCompatibleModel({
		upstream: { ...UPSTREAM, contextTokensMax: 100_000, ...upstream },
		baseUrl: `http://127.0.0.1:${double.port}/v1`,
		apiKey: null,
		connectionsMax: 4,
		clock: systemClock,
	});
	const features = () => [feature({ feature: 'ask' }, { route: [model] })];
	const gateway = await startGateway({ model, features, bodyBytesMax: 16_000_000, images: { ...IMAGES, ...images } });
	onTestFinished(async () => {
		await gateway.close();
		await model.close();
		await double.close();
	});
	const openai = new OpenAI({ baseURL: `${gateway.url}/v1`, apiKey: KEY, maxRetries: 0 });
	const anthropic = new Anthropic({ baseURL: gateway.url, apiKey: KEY, maxRetries: 0 });
	return { double, gateway, openai, anthropic };
}

const SURFACES = ['chat', 'responses', 'messages', 'count_tokens'] as const;
type Started = Awaited<ReturnType<typeof start>>;

/** Shows images behind a word, on each surface in its own form. */
function show(
	{ openai, anthropic }: Started,
	surface: (typeof SURFACES)[number],
	urls: readonly string[],
	model = UPSTREAM.name,
) {
	const [text, max_tokens] = ['What is this?', 20];
	if (surface === 'chat') {
		const parts = urls.map((url) => ({ type: 'image_url' as const, image_url: { url } }));
		return openai.chat.completions.create({
			model,
			messages: [{ role: 'user', content: [{ type: 'text', text }, ...parts] }],
		});
	}
	if (surface === 'responses') {
		const parts = urls.map((image_url) => ({ type: 'input_image' as const, detail: 'auto' as const, image_url }));
		return openai.responses.create({
			model,
			input: [{ role: 'user', content: [{ type: 'input_text', text }, ...parts] }],
			store: false,
		});
	}
	const blocks = urls.map((url) => {
		const [, media_type, data] = /^data:([^;]*);base64,(.*)$/s.exec(url) ?? [];
		const source = data === undefined ? { type: 'url', url } : { type: 'base64', media_type, data };
		return { type: 'image', source } as Anthropic.ImageBlockParam;
	});
	const messages = [{ role: 'user' as const, content: [{ type: 'text' as const, text }, ...blocks] }];
	if (surface === 'count_tokens') return anthropic.messages.countTokens({ model, messages });
	return anthropic.messages.create({ model, max_tokens, messages });
}

const PLACES = {
	chat: (part: number) => `messages[0].content[${part}].image_url`,
	responses: (part: number) => `input[0].content[${part}].image_url`,
	messages: (part: number) => `messages[0].content[${part}].source`,
	count_tokens: (part: number) => `messages[0].content[${part}].source`,
};

async function refusalOf(
	asked: Promise<unknown>,
): Promise<{ status: number; code: string; message: string; param: string }> {
	const error = await asked.then(
		() => Promise.reject(new Error('was let through')),
		(thrown) => thrown,
	);
	const body = error.error?.error ?? error.error;
	return { status: error.status, code: body.code, message: body.message, param: body.param };
}

describe.each(SURFACES)('an image over %s', (surface) => {
	it('is let through within its bounds, whatever its kind', async () => {
		const started = await start();
		const { png, gif, jpeg, webpLossy } = IMAGES_37_BY_21;
		const kinds = { png, gif, jpeg, jpg: jpeg, webp: webpLossy };
		await show(
			started,
			surface,
			Object.entries(kinds).map(([kind, base64]) => dataUrl(base64, `image/${kind}`)),
		);
		if (surface === 'count_tokens') expect(started.double.bodies).toHaveLength(0);
		else for (const base64 of Object.values(kinds)) expect(started.double.bodies.at(-1)).toContain(base64);
	});

	it.each([
		[
			'more bytes than allowed',
			{ bytesMax: 90 },
			PNG,
			413,
			'image_too_large',
			/has 95 bytes.*90 \(bare.images.bytes_max\)/,
		],
		[
			'a side that is too long',
			{},
			dataUrl(pngOf(8_001, 10)),
			413,
			'image_too_large',
			/8001 pixels.*8000 \(bare.images.side_px_max\)/,
		],
		[
			'a kind that is not taken',
			{},
			dataUrl(IMAGES_37_BY_21.png, 'image/svg+xml'),
			400,
			'image_unsupported',
			/is image\/svg\+xml; expected image\/png/,
		],
		[
			'bytes of another kind',
			{},
			dataUrl(IMAGES_37_BY_21.gif),
			400,
			'image_unsupported',
			/says that it is image\/png, and its bytes are image\/gif/,
		],
		['bytes of no kind', {}, dataUrl('AAAAAAAAAAAAAAAAAAAAAAAA'), 400, 'image_unsupported', /no image of a known kind/],
		[
			'an address, where none is taken',
			{ addresses: 'refuse' },
			'https://ships.test/vasa.png',
			400,
			'image_unsupported',
			/bare.images.addresses is refuse/,
		],
		[
			'an address that is not https',
			{},
			'http://ships.test/vasa.png',
			400,
			'image_unsupported',
			/not an https address on the internet/,
		],
		[
			'an address inside',
			{},
			'https://10.1.2.3/vasa.png',
			400,
			'image_unsupported',
			/not an https address on the internet/,
		],
		[
			'an address of a file',
			{},
			'file:///etc/passwd',
			400,
			'image_unsupported',
			/not an https address on the internet/,
		],
		['no address', {}, 'vasa.png', 400, 'image_unsupported', /neither an address nor an image/],
	] as const)(
		'is refused by its place for %s, and nothing is sent',
		async (_what, images, url, status, code, message) => {
			const started = await start({ images });
			const asked = show(started, surface, [dataUrl(pngOf(1, 1, 40)), url]);
			const refusal = await refusalOf(asked);
			expect(refusal).toMatchObject({ status, message: expect.stringMatching(message) });
			expect(refusal.message).toContain(PLACES[surface](2));
			if (surface === 'chat' || surface === 'responses')
				expect(refusal).toMatchObject({ code, param: PLACES[surface](2) });
			expect(started.gateway.traces.last).toMatchObject({ error_code: code, cost_usd_micros: 0 });
			expect(started.double.bodies).toHaveLength(0);
		},
	);

	it('is refused where there are too many', async () => {
		const started = await start({ images: { countMax: 2 } });
		const refusal = await refusalOf(show(started, surface, [PNG, PNG, PNG]));
		expect(refusal).toMatchObject({
			status: 413,
			message: expect.stringMatching(/3 images.*2 \(bare.images.count_max\)/),
		});
	});

	it('is held against what the provider takes, where that is less', async () => {
		const started = await start({ upstream: { images: IMAGE_LIMITS.bedrock } });
		const large = dataUrl(pngOf(10, 10, 4_000_000));
		expect((await refusalOf(show(started, surface, [large]))).message).toMatch(
			/has 4000000 bytes.*3932160 \(the provider of test\/primary\)/,
		);
		expect((await refusalOf(show(started, surface, ['https://ships.test/vasa.png']))).message).toMatch(
			/the provider of test\/primary fetches none/,
		);
	});

	it('goes to a server of one’s own by its address only where the project says so', async () => {
		const [address, upstream] = ['https://ships.test/vasa.png', { isOwnServer: true }];
		const refusal = await refusalOf(show(await start({ upstream }), surface, [address]));
		expect(refusal.message).toMatch(/a server of this network.*bare.images.addresses to all/);
		const allowing = await start({ upstream, images: { addresses: 'all' } });
		await show(allowing, surface, [address]);
		if (surface !== 'count_tokens') expect(allowing.double.bodies.at(-1)).toContain(address);
	});
});

it('a feature takes text alone, and says which part of which message is none', async () => {
	const refusal = await refusalOf(show(await start(), 'chat', [PNG], 'ask'));
	expect(refusal).toMatchObject({ status: 400, code: 'request_invalid', param: 'messages[0].content[1]' });
	expect(refusal.message).toMatch(/a feature takes text/i);
});

it('an image among the files of a request is an image', async () => {
	const { openai } = await start({ images: { countMax: 0 } });
	const file = { type: 'file' as const, file: { filename: 'a.png', file_data: PNG } };
	const asked = openai.chat.completions.create({ model: UPSTREAM.name, messages: [{ role: 'user', content: [file] }] });
	expect(await refusalOf(asked)).toMatchObject({ code: 'image_too_large', param: 'messages[0].content[0].file' });
});

it('an image counts by its size in pixels, not by the length of its base64', async () => {
	const started = await start();
	const count = async (urls: string[]) =>
		((await show(started, 'count_tokens', urls)) as Anthropic.MessageTokensCount).input_tokens;
	const none = await count([]);
	expect((await count([dataUrl(pngOf(750, 100, 3_000_000))])) - none).toBeLessThan(150);
	expect((await count([dataUrl(pngOf(750, 1_000))])) - none).toBeGreaterThan(1_000);
});

it('what a client writes counts as its text, also where it is the address of an image', async () => {
	const { anthropic } = await start();
	const url = `https://ships.test/#${'a load line tells a sailor '.repeat(40)}`;
	const image = { type: 'image' as const, source: { type: 'url' as const, url } };
	const count = async (text: string) => {
		const content = [{ type: 'text' as const, text }, image];
		const asked = { model: UPSTREAM.name, messages: [{ role: 'user' as const, content }] };
		return (await anthropic.messages.countTokens(asked)).input_tokens;
	};
	expect((await count(url)) - (await count('What is this?'))).toBeGreaterThan(200);
});
