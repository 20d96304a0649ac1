import { base64Bytes, imageHeader } from '../base/image-header.ts';
import { isPrivateHost } from '../base/private-address.ts';
import { type ErrorCode, PlimsollError } from '../spec/errors.ts';
import type { ImageRules, Upstream } from '../spec/model.ts';

/** An image as a client sends it. */
export interface ShownImage {
	/** Where it stands in the client's body, such as `messages[0].content[1].image_url`. */
	readonly at: string;
	/** The image itself as a data URL, or where it is. */
	readonly url: string;
}

type Receiver = Pick<Upstream, 'name' | 'images' | 'isOwnServer'>;

/** Of an image whose size nobody can tell, by what models commonly make of one. */
const TOKENS_UNKNOWN = 1_600;
/** Larger ones are made smaller by whoever takes them. */
const TOKENS_MAX = 4_800;
/** So many pixels are about a token (Anthropic's rule; OpenAI's tiles of 512 pixels and Gemini's come close). */
const PIXELS_PER_TOKEN = 750;

/**
 * Holds the images of a request against the project's rules and against what its upstream is known to take, without decoding
 * any. Throws `image_too_large` or `image_unsupported`, naming the image, the bound and whose it is.
 */
export function requireImages(images: readonly ShownImage[], rules: ImageRules, receiver: Receiver): void {
	const [first] = images;
	if (first === undefined) return;
	const bounds = new Bounds(rules, receiver);
	bounds.atMost('countMax', images.length, first.at);
	for (const image of images) requireImage(image, bounds);
}

/** What an image adds to a prompt, in tokens: an estimate from its size in pixels. */
export function imageTokens({ url }: Pick<ShownImage, 'url'>): number {
	const inline = inlineOf(url);
	const header = inline && imageHeader(inline.base64);
	if (header === null) return TOKENS_UNKNOWN;
	return Math.min(TOKENS_MAX, Math.ceil((header.widthPx * header.heightPx) / PIXELS_PER_TOKEN));
}

function requireImage({ at, url }: ShownImage, bounds: Bounds): void {
	if (!/^data:/i.test(url)) {
		requireAddress(at, url, bounds);
		return;
	}
	const inline = inlineOf(url);
	if (inline === null) {
		throw refusal('image_unsupported', at, 'is no image in base64 (data:image/png;base64,…)');
	}
	const { mediaType, base64 } = inline;
	bounds.requireType(at, mediaType);
	bounds.atMost('bytesMax', base64Bytes(base64), at);
	const header = imageHeader(base64);
	if (header === null) {
		if (UNREAD.has(mediaType)) return;
		throw refusal('image_unsupported', at, `says that it is ${mediaType}, and its bytes are no image of a known kind`);
	}
	if (header.mediaType !== mediaType) {
		throw refusal('image_unsupported', at, `says that it is ${mediaType}, and its bytes are ${header.mediaType}`);
	}
	bounds.atMost('sidePxMax', Math.max(header.widthPx, header.heightPx), at);
}

/** Kinds whose headers are not read. */
const UNREAD: ReadonlySet<string> = new Set(['image/heic', 'image/heif']);

function requireAddress(at: string, url: string, { rules, receiver }: Bounds): void {
	const { name, images, isOwnServer = false } = receiver;
	const instead = 'send the image itself (data:image/png;base64,…)';
	const address = URL.parse(url);
	if (address === null) throw refusal('image_unsupported', at, `is neither an address nor an image; ${instead}`);
	if (rules.addresses === 'refuse') {
		throw refusal('image_unsupported', at, `is an address, and bare.images.addresses is refuse; ${instead}`);
	}
	if (images?.addresses === false) {
		throw refusal('image_unsupported', at, `is an address, and the provider of ${name} fetches none; ${instead}`);
	}
	if (rules.addresses === 'all') return;
	if (isOwnServer) {
		const why = `is an address, and ${name} is a server of this network, which a client could make reach into it`;
		throw refusal('image_unsupported', at, `${why}; ${instead}, or set bare.images.addresses to all`);
	}
	if (!['https:', 'gs:'].includes(address.protocol) || isPrivateHost(address.hostname)) {
		const why = 'is not an https address on the internet, which alone is passed on';
		throw refusal('image_unsupported', at, `${why}; ${instead}`);
	}
}

/** The project's bounds and the provider's: the narrower of two holds, and is named. */
class Bounds {
	readonly rules: ImageRules;
	readonly receiver: Receiver;

	constructor(rules: ImageRules, receiver: Receiver) {
		this.rules = rules;
		this.receiver = receiver;
	}

	/** @param at the image to name. */
	atMost(bound: keyof typeof SAID, value: number, at: string): void {
		const own = this.rules[bound];
		const theirs = this.receiver.images?.[bound] ?? own;
		if (value <= Math.min(own, theirs)) return;
		const { field, has, may } = SAID[bound];
		const whose = theirs < own ? `the provider of ${this.receiver.name}` : `bare.images.${field}`;
		throw refusal('image_too_large', at, `${has(value)}; ${may} ${Math.min(own, theirs)} (${whose})`);
	}

	requireType(at: string, mediaType: string): void {
		const own = this.rules.mediaTypes;
		const theirs = this.receiver.images?.mediaTypes ?? own;
		const taken = own.filter((type) => theirs.includes(type));
		if (taken.includes(mediaType)) return;
		const said = mediaType === '' ? 'names no media type' : `is ${mediaType.slice(0, 60)}`;
		const whose = own.includes(mediaType) ? `the provider of ${this.receiver.name}` : 'bare.images.media_types';
		throw refusal('image_unsupported', at, `${said}; expected ${taken.join(', ')} (${whose})`);
	}
}

const SAID = {
	countMax: { field: 'count_max', has: (n: number) => `begins a list of ${n} images`, may: 'a request may hold' },
	bytesMax: { field: 'bytes_max', has: (n: number) => `has ${n} bytes`, may: 'an image may have' },
	sidePxMax: { field: 'side_px_max', has: (n: number) => `has ${n} pixels`, may: 'width and height may have' },
} as const;

interface Inline {
	readonly mediaType: string;
	readonly base64: string;
}

/** Null for what is not `data:<media type>;base64,<data>`, or whose data can be no base64. */
function inlineOf(url: string): Inline | null {
	const comma = url.indexOf(',');
	const head = /^data:([^;,]*)((?:;[^;,]*)*)$/i.exec(url.slice(0, Math.max(0, comma)));
	if (head === null || !/;base64$/i.test(head[2] ?? '')) return null;
	const base64 = url.slice(comma + 1);
	const isWhole = base64.length > 0 && base64.length % 4 !== 1;
	const said = (head[1] ?? '').toLowerCase();
	// No registered type, and a common name for one.
	return isWhole ? { mediaType: said === 'image/jpg' ? 'image/jpeg' : said, base64 } : null;
}

function refusal(code: ErrorCode, at: string, what: string): PlimsollError {
	return new PlimsollError(code, `The image ${at} ${what}.`, { param: at });
}
