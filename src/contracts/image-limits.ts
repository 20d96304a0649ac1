import { isPrivateHost } from '../base/private-address.ts';
import type { ImageLimits } from '../spec/model.ts';
import { LOCAL_PRESETS } from './presets.ts';
import type { RawUpstream } from './upstream-schema.ts';

const NOTHING_KNOWN: ImageLimits = {
	countMax: null,
	bytesMax: null,
	sidePxMax: null,
	mediaTypes: null,
	addresses: null,
};
const FOUR_KINDS = ['image/png', 'image/jpeg', 'image/gif', 'image/webp'];

/** Of what Anthropic and Bedrock have in common: 5 MiB, counted as base64. */
const CLAUDE = { bytesMax: (5 * 1024 * 1024 * 3) / 4, sidePxMax: 8_000, mediaTypes: FOUR_KINDS };

const GEMINI: ImageLimits = {
	...NOTHING_KNOWN,
	countMax: 3_000,
	mediaTypes: ['image/png', 'image/jpeg', 'image/webp', 'image/heic', 'image/heif'],
	addresses: true,
};

/** What providers document of the images that they take: more would come back as an error, after it was sent. */
export const IMAGE_LIMITS: Readonly<Record<RawUpstream['family'], ImageLimits>> = {
	'openai-compatible': NOTHING_KNOWN,
	anthropic: { ...CLAUDE, countMax: 100, addresses: true },
	google: GEMINI,
	vertex: { ...GEMINI, bytesMax: 7 * 1024 * 1024 },
	bedrock: { ...CLAUDE, countMax: 20, addresses: false },
	cohere: { ...NOTHING_KNOWN, countMax: 20, bytesMax: 20 * 1024 * 1024, mediaTypes: FOUR_KINDS, addresses: true },
	'ai-sdk': NOTHING_KNOWN,
	// Reads text alone, and looks at no image.
	extractive: NOTHING_KNOWN,
};

/** Whether an upstream is a server of one's own: what it fetches, it fetches from inside. */
export function isOwnServer(raw: RawUpstream): boolean {
	if (raw.family === 'openai-compatible' && raw.preset !== null && LOCAL_PRESETS.includes(raw.preset)) return true;
	const url = 'base_url' in raw ? raw.base_url : undefined;
	return url !== undefined && URL.canParse(url) && isPrivateHost(new URL(url).hostname);
}
