import { IMAGE_LIMITS } from '../../src/contracts/image-limits.ts';
import { type Continuation, PRESETS, type Preset } from '../../src/contracts/presets.ts';
import { SDK_FAMILIES, type SdkFamily, type SdkUpstream } from '../../src/models/ai-sdk/families.ts';
import type { ImageLimits } from '../../src/spec/model.ts';
import { cell, GENERATED } from './page.ts';

/** docs/reference/model-families.md: what each family and each preset can do. */
export function familyPage(): string {
	const lines = [
		'# Model families',
		'',
		GENERATED,
		'',
		'A family is how Plimsoll speaks to a provider. Every family behind a package passes one suite of tests against a double',
		'that speaks its documented wire format: plain and streamed answers, parallel tool calls, tool results, JSON schema, images,',
		'usage, each kind of error, cut and silent streams, and cancellation. [Connect a provider](../guides/connect-a-provider.md) shows how to use them.',
		'',
		'## What they can do',
		'',
		...capabilityTable(),
		'',
		'What is known of a provider’s bounds on images is held against a request before it is sent, beside the project’s own',
		'([`bare.images`](configuration.md)): the narrower of two holds.',
		'',
		'`openai-compatible` sends messages and parameters as they are and returns the endpoint’s own JSON, so that it can what the',
		'endpoint can. A family whose package is not a part of Plimsoll says the command that installs it when it is missing.',
		'',
		'## Presets of openai-compatible',
		'',
		...presetTable(),
		'',
		'What is refused is refused by name before anything is sent, unless it asks for nothing (`logprobs: false`); `user` is left out.',
		'*Continues* is the default of `continues_assistant_turn`: whether a [broken stream](../concepts/streams.md) can be continued there.',
	];
	return `${lines.join('\n')}\n`;
}

function capabilityTable(): string[] {
	const families = Object.entries<SdkFamily>(SDK_FAMILIES);
	const row = (title: string, own: string, of: (family: SdkFamily) => string) =>
		`| ${[title, own, ...families.map(([, family]) => cell(of(family)))].join(' | ')} |`;
	const yes = (value: boolean) => (value ? 'yes' : 'no');
	const fact = (of: (facts: SdkFamily['facts']) => boolean) => (family: SdkFamily) =>
		family.package === null ? 'as the package' : yes(of(family.facts));
	const images = (title: string, of: (limits: ImageLimits) => string | null | 0) => {
		const names = ['openai-compatible' as const, ...families.map(([name]) => name as SdkUpstream['family'])];
		return `| ${[title, ...names.map((name) => cell(of(IMAGE_LIMITS[name]) || 'not known'))].join(' | ')} |`;
	};
	return [
		`| | \`openai-compatible\` | ${families.map(([name]) => `\`${name}\``).join(' | ')} |`,
		`|---|---|${families.map(() => '---|').join('')}`,
		row('plain and streamed answers', 'yes', () => 'yes'),
		row('tool calls, parallel and streamed', 'as the endpoint', () => 'yes'),
		row('`response_format: json_schema`', 'as the preset', ({ facts }) => facts.jsonSchema),
		row('`response_format: json_object`', 'as the endpoint', ({ rules }) => yes(rules.jsonObject)),
		row('images in the request', 'as the endpoint', () => 'yes'),
		images('images by their address', ({ addresses }) => (addresses === null ? null : yes(addresses))),
		images('images in a request', ({ countMax }) => countMax && number(countMax)),
		images('bytes of an image', ({ bytesMax }) => bytesMax && number(bytesMax)),
		images('pixels of a side', ({ sidePxMax }) => sidePxMax && number(sidePxMax)),
		images(
			'kinds of images',
			({ mediaTypes }) => mediaTypes?.map((type) => type.replace('image/', '')).join(', ') ?? null,
		),
		row('`parallel_tool_calls: false`', 'as the endpoint', ({ rules }) => yes(rules.oneToolCallAtATime !== null)),
		row(
			'cached tokens reported',
			'yes',
			fact((facts) => facts.cachedTokens),
		),
		row(
			'reasoning tokens reported',
			'yes',
			fact((facts) => facts.reasoningTokens),
		),
		row('wait asked for by', '`retry-after-ms`, `Retry-After`', ({ facts }) => facts.waits),
		row(
			'refused parameters',
			'see below',
			({ rules }) => rules.refused.map((name) => `\`${name}\``).join(', ') || 'none',
		),
		row('own options under', 'the provider’s name', ({ rules }) =>
			rules.namespaces.map((name) => `\`${name}\``).join(', '),
		),
		row('package', 'none', ({ package: own, facts }) => {
			if (own === null) return 'the one that you name and install';
			return `${own.name} ${own.version}${facts.isIncluded ? '' : ', to be installed'}`;
		}),
	];
}

function number(value: number): string {
	return value.toLocaleString('en-US');
}

const CONTINUATIONS: Readonly<Record<Continuation, string>> = {
	place: 'yes',
	prefix: 'yes, by `prefix`',
	final_message: 'yes, by `continue_final_message`',
};

function presetTable(): string[] {
	return [
		'| preset | vendor | `base_url` | key | output cap | stream usage | JSON schema | continues | refused | renamed |',
		'|---|---|---|---|---|---|---|---|---|---|',
		...Object.entries<Preset>(PRESETS).map(([name, preset]) => {
			const { title, baseUrl, keyVariable, tokensOutParameter, streamUsage, jsonSchema, refused, renamed } = preset;
			const { continuation } = preset;
			const names = refused.map((one) => `\`${one}\``).join(', ');
			const others = Object.entries(renamed).map(([from, to]) => `\`${from}\` to \`${to}\``);
			const cells = [
				`\`${name}\``,
				title,
				baseUrl ?? 'your own',
				keyVariable === null ? 'none' : `\`${keyVariable}\``,
				`\`${tokensOutParameter}\``,
				streamUsage ? 'asked for' : 'unasked',
				jsonSchema ? 'yes' : 'no',
				continuation === null ? 'no' : CONTINUATIONS[continuation],
				names,
				others.join(', '),
			];
			return `| ${cells.map(cell).join(' | ')} |`;
		}),
	];
}
