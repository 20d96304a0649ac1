import { promisify } from 'node:util';
import { brotliDecompress, gunzip, inflate } from 'node:zlib';
import { PlimsollError } from '../../../spec/errors.ts';
import type { ConfigOf, SourceAccess } from '../access.ts';
import { type Fetched, fetchBounded } from '../fetch-bounded.ts';
import { Pace } from './pace.ts';
import { parseRobots, type Robots } from './robots.ts';
import { WebScope } from './scope.ts';

export type SitemapConfig = ConfigOf<'sitemap'>;

const HOPS_MAX = 5;
const REDIRECTS = new Set([301, 302, 303, 307, 308]);
const ROBOTS_BYTES_MAX = 1_048_576;
/** A site that asks for a longer pause between two requests gets this one. */
const CRAWL_DELAY_MS_MAX = 30_000;

const DECODERS: Readonly<Record<string, (bytes: Uint8Array, options: { maxOutputLength: number }) => Promise<Buffer>>> =
	{
		gzip: promisify(gunzip),
		'x-gzip': promisify(gunzip),
		deflate: promisify(inflate),
		br: promisify(brotliDecompress),
	};

/**
 * What came of asking for an address. `barred`: it may not be asked, and was not. `refused`: what it gives, or leads to, cannot
 * be taken. `silent`: its server did not answer.
 */
export type Answer =
	| ({ readonly kind: 'answer'; readonly url: URL } & Fetched)
	| { readonly kind: 'barred' | 'refused' | 'silent'; readonly reason: string };

interface Ask {
	readonly bytesMax: number;
	readonly headers?: Readonly<Record<string, string>>;
	/** Whether robots.txt is asked first; a sitemap that a person named is read without. */
	readonly robots: boolean;
	readonly signal: AbortSignal;
}

/** The web sites of one source: asked within its scope, at its pace, and as their robots.txt allows. */
export class Site {
	readonly #config: SitemapConfig;
	readonly #access: SourceAccess;
	readonly #scope: WebScope;
	readonly #pace: Pace;
	readonly #trusted: ReadonlySet<string>;
	readonly #robots = new Map<string, Promise<Robots | null>>();

	constructor(config: SitemapConfig, access: SourceAccess) {
		this.#config = config;
		this.#access = access;
		this.#scope = new WebScope(config.urls, config.allow);
		this.#pace = new Pace(access.clock, 1_000 / config.requestsPerSecond);
		this.#trusted = new Set(config.urls.flatMap((url) => URL.parse(url)?.origin ?? []));
	}

	/** Why an address may not be asked at all; null: it may. */
	outOfScope(url: URL): string | null {
		if (url.protocol !== 'http:' && url.protocol !== 'https:') return `it is no http or https address: ${url.protocol}`;
		if (url.username || url.password) return 'its address holds credentials';
		return this.#scope.allows(url) ? null : `${url.host}${url.pathname} is not allowed; allow says what is`;
	}

	/** Whether the credentials of the source go to this address: to the origins of its sitemaps alone. */
	isTrusted({ origin }: URL): boolean {
		return this.#config.authorization !== null && this.#trusted.has(origin);
	}

	/** Asks for an address and follows redirects by hand, each one held against scope and robots.txt again. */
	async get(url: URL, ask: Ask): Promise<Answer> {
		let at = url;
		for (let hop = 0; hop <= HOPS_MAX; hop++) {
			const hindrance = this.outOfScope(at) ?? (ask.robots ? await this.#forbidden(at, ask.signal) : null);
			const where = hop === 0 ? '' : `it redirects to ${at.href}, and `;
			if (hindrance !== null) return { kind: hop === 0 ? 'barred' : 'refused', reason: `${where}${hindrance}` };
			const fetched = await this.#fetch(at, ask);
			if ('reason' in fetched)
				return { kind: fetched.isRefusal ? 'refused' : 'silent', reason: `${where}${fetched.reason}` };
			const { location } = fetched.headers;
			if (!REDIRECTS.has(fetched.status) || location === undefined) return answerOf(fetched, at, ask.bytesMax);
			const next = URL.parse(location, at.href);
			if (next === null) return { kind: 'refused', reason: 'it redirects to something that is no address' };
			at = next;
		}
		return { kind: 'refused', reason: `it redirects more than ${HOPS_MAX} times` };
	}

	async #fetch(url: URL, { bytesMax, headers = {}, signal }: Ask) {
		const { clock, web } = this.#access;
		const { privateAddresses, requestTimeoutMs, userAgent, authorization } = this.#config;
		const own = { 'user-agent': userAgent, 'accept-encoding': 'gzip', accept: '*/*' };
		const credentials = authorization !== null && this.isTrusted(url) ? { authorization } : {};
		return fetchBounded({
			http: web[privateAddresses],
			clock,
			send: async () => {
				await this.#pace.turn(signal);
				return { url: url.href, headers: { ...own, ...headers, ...credentials } };
			},
			bytesMax,
			timeoutMs: requestTimeoutMs,
			signal,
		});
	}

	async #forbidden(url: URL, signal: AbortSignal): Promise<string | null> {
		const { userAgent } = this.#config;
		let robots = this.#robots.get(url.origin);
		if (!robots) {
			robots = this.#readRobots(url, signal);
			this.#robots.set(url.origin, robots);
		}
		const isForbidden = (await robots)?.isDisallowed(url.href, userAgent) === true;
		return isForbidden ? `robots.txt of ${url.host} does not allow ${userAgent.split('/')[0]} to read it` : null;
	}

	/** Null: everything is allowed. As RFC 9309 has it, a missing file allows all, and a server that fails allows nothing. */
	async #readRobots({ origin }: URL, signal: AbortSignal): Promise<Robots | null> {
		const url = new URL('/robots.txt', origin);
		const answer = await this.#ofRobots(url, signal);
		if (answer.kind !== 'answer') throw this.unusable(`${url.href} cannot be read: ${answer.reason}`);
		if (answer.status >= 500 || answer.status === 429) throw this.unusable(`${url.href} answered ${answer.status}`);
		if (answer.status !== 200) return null;
		const robots = parseRobots(url.href, new TextDecoder().decode(answer.bytes));
		const delay = robots.getCrawlDelay(this.#config.userAgent);
		if (delay !== undefined && delay > 0) this.#pace.slowTo(Math.min(delay * 1_000, CRAWL_DELAY_MS_MAX));
		return robots;
	}

	/** The file lies outside the allowed paths of a host that is allowed. */
	async #ofRobots(url: URL, signal: AbortSignal): Promise<Answer> {
		const fetched = await this.#fetch(url, { bytesMax: ROBOTS_BYTES_MAX, robots: false, signal });
		if ('reason' in fetched) return { kind: 'silent', reason: fetched.reason };
		const next = REDIRECTS.has(fetched.status) ? URL.parse(fetched.headers.location ?? '', url.href) : null;
		if (next) return this.get(next, { bytesMax: ROBOTS_BYTES_MAX, robots: false, signal });
		return answerOf(fetched, url, ROBOTS_BYTES_MAX);
	}

	unusable(reason: string): PlimsollError {
		return new PlimsollError('source_unusable', `Source ${this.#config.name}: the site cannot be used: ${reason}.`);
	}
}

async function answerOf(fetched: Fetched, url: URL, bytesMax: number): Promise<Answer> {
	const encoding = fetched.headers['content-encoding']?.trim().toLowerCase() ?? '';
	if (encoding === '' || encoding === 'identity' || fetched.bytes.length === 0)
		return { kind: 'answer', url, ...fetched };
	const bytes = await decoded(fetched.bytes, encoding, bytesMax);
	return typeof bytes === 'string' ? { kind: 'refused', reason: bytes } : { kind: 'answer', url, ...fetched, bytes };
}

/** Compressed bytes as what they are, or why not. */
export async function decoded(bytes: Uint8Array, encoding: string, bytesMax: number): Promise<Uint8Array | string> {
	const decode = DECODERS[encoding];
	if (!decode) return `its encoding ${encoding} is not read`;
	try {
		return await decode(bytes, { maxOutputLength: bytesMax });
	} catch (cause) {
		const isTooLarge = cause instanceof Error && 'code' in cause && cause.code === 'ERR_BUFFER_TOO_LARGE';
		return isTooLarge ? `larger than ${bytesMax} bytes when it is unpacked` : `it is broken ${encoding}`;
	}
}
