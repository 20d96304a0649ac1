import { sha256Of } from '../../../base/hash.ts';
import { readInstant } from '../../../base/instant.ts';
import type { PageRecord } from '../../../spec/pages.ts';
import { formatOf } from '../../document-format.ts';
import { metaOf } from '../../document-meta.ts';
import { readAhead } from '../../ingestion/read-ahead.ts';
import {
	CONTENT_TYPES,
	type DocumentFormat,
	isFormat,
	type ListedDocument,
	type LoadedItem,
	type OpenSource,
	type SourceItem,
} from '../../source-item.ts';
import type { SourceAccess } from '../access.ts';
import { type Listed, readSitemaps } from './read-sitemaps.ts';
import { type Answer, Site, type SitemapConfig } from './site.ts';

/** So many pages one after another whose servers do not answer: then it is the site and not a page. */
const SILENT_IN_A_ROW_MAX = 5;
/** Pages that are noted at once. */
const NOTED_AT_ONCE = 50;
/** A page that changed within the time to which its server dates it may change again under the same date (RFC 9110, 8.8.2.2). */
const DATE_MS = 60_000;

const FORMATS: Readonly<Record<string, DocumentFormat>> = {
	...Object.fromEntries(Object.entries(CONTENT_TYPES).map(([format, type]) => [type, format as DocumentFormat])),
	'text/plain': 'text',
	'application/xhtml+xml': 'html',
	'text/x-markdown': 'markdown',
};
/** What servers say that do not know. */
const UNTOLD = new Set(['', 'application/octet-stream', 'binary/octet-stream']);

type Answered = Extract<Answer, { kind: 'answer' }>;

/**
 * The pages that sitemaps list, each asked for with what is known of it, so that one that did not change is not sent
 * again. Throws `source_unusable` when a sitemap cannot be read, the credentials are refused or the site does not answer, also in the middle.
 */
export async function openSitemap(
	config: SitemapConfig,
	access: SourceAccess,
	signal: AbortSignal,
): Promise<OpenSource> {
	const site = new Site(config, access);
	const late = new AbortController();
	const cancel = access.clock.after(config.totalTimeMs, () =>
		late.abort(site.unusable(`reading it takes longer than total_time_ms (${config.totalTimeMs})`)),
	);
	const within = AbortSignal.any([signal, late.signal]);
	const pages = await readSitemaps(config, site, within).catch((thrown: unknown) => {
		cancel();
		throw thrown;
	});
	return {
		total: pages.length,
		async *items() {
			try {
				yield* new Crawl(config, access, site).items(pages, within);
			} finally {
				cancel();
			}
		},
	};
}

class Crawl {
	readonly #config: SitemapConfig;
	readonly #access: SourceAccess;
	readonly #site: Site;
	readonly #place: { readonly collection: string; readonly source: string };
	readonly #startedAt: number;
	#noted: PageRecord[] = [];
	/** Pages one after another that were not answered. */
	#silent = 0;
	#isAnswered = false;

	constructor(config: SitemapConfig, access: SourceAccess, site: Site) {
		this.#config = config;
		this.#access = access;
		this.#site = site;
		this.#place = { collection: access.collection, source: config.name };
		this.#startedAt = access.clock.now();
	}

	async *items(pages: readonly Listed[], signal: AbortSignal): AsyncGenerator<SourceItem> {
		const bounds = { itemsMax: this.#config.concurrencyMax, weightMax: 1, weigh: () => 0 };
		for await (const item of readAhead(each(pages), (page) => this.#read(page, signal), bounds)) {
			if (item) yield item;
			if (this.#noted.length >= NOTED_AT_ONCE) await this.#note();
		}
		if (this.#silent > 0 && !this.#isAnswered) {
			throw this.#site.unusable(`none of the pages that were asked for was answered, ${this.#silent} in all`);
		}
		await this.#note();
		await this.#access.pages.forget(this.#place, this.#startedAt);
	}

	/** Null: the page is gone. */
	async #read(page: Listed, signal: AbortSignal): Promise<SourceItem | null> {
		if ('reason' in page) return { failed: { document: page.id, reason: page.reason } };
		const { lastmod } = page;
		const url = new URL(page.url);
		const known = await this.#access.pages.find(this.#place, url.href);
		if (known && this.#config.trustLastmod && lastmod !== null && known.lastmod === lastmod)
			return this.#same(known, lastmod);
		const answer = await this.#ask(url, validatorsOf(known), signal);
		const isSilent = answer.kind === 'silent' || (answer.kind === 'answer' && isBusy(answer.status));
		this.#count(isSilent, answer);
		if (known && answer.kind === 'answer' && answer.status === 304) return this.#same(known, lastmod);
		const reason = this.#hindrance(url, answer);
		if (isSilent && this.#silent >= SILENT_IN_A_ROW_MAX) {
			throw this.#site.unusable(
				`${this.#silent} pages one after another were not answered, the last one ${url.href}: ${reason}`,
			);
		}
		if (answer.kind === 'answer' && answer.status === 410) return null;
		if (answer.kind !== 'answer' || reason !== null) {
			return { failed: { document: url.href, reason: reason ?? 'it was not answered' } };
		}
		const format = pageFormat(answer);
		if (typeof format !== 'string') return { failed: { document: url.href, reason: format.reason } };
		const version = versionOf(answer);
		const record = { url: url.href, finalUrl: answer.url.href, lastmod, version, format, ...this.#validators(answer) };
		this.#noted.push(record);
		return this.#listed(record, (listed) => ({ document: documentOf(listed, answer) }));
	}

	/** A page that was not asked for says nothing of its server. */
	#count(isSilent: boolean, { kind }: Answer): void {
		if (kind === 'barred') return;
		this.#silent = isSilent ? this.#silent + 1 : 0;
		this.#isAnswered ||= !isSilent;
	}

	#ask(url: URL, headers: Readonly<Record<string, string>>, signal: AbortSignal): Promise<Answer> {
		return this.#site.get(url, { bytesMax: this.#config.pageBytesMax, headers, robots: true, signal });
	}

	/** Why an answer is no page; null: it is one. Throws when it is about who asks, and not about what. */
	#hindrance(url: URL, answer: Answer): string | null {
		if (answer.kind !== 'answer') return answer.reason;
		const { status } = answer;
		if ((status === 401 || status === 403) && this.#site.isTrusted(answer.url)) {
			throw this.#site.unusable(`${url.href} answered ${status}: the credentials are refused, or have expired`);
		}
		return status === 200 ? null : `it is listed and answered ${status}`;
	}

	/** A page of which the index holds what it is, unless its table was lost: then it is asked for once more. */
	#same(known: PageRecord, lastmod: string | null): SourceItem {
		this.#noted.push({ ...known, lastmod });
		return this.#listed({ ...known, lastmod }, async (listed, signal) => {
			const answer = await this.#ask(new URL(known.url), {}, signal);
			const reason = this.#hindrance(new URL(known.url), answer);
			const failed = (why: string) => ({ failed: { document: known.url, reason: why } });
			if (answer.kind !== 'answer' || reason !== null) return failed(reason ?? 'it was not answered');
			if (versionOf(answer) === known.version) return { document: documentOf(listed, answer) };
			return failed('it changed while it was read; the next run sees to it');
		});
	}

	#listed(
		{ url, finalUrl, format, version, lastmod, modified }: PageRecord,
		load: (listed: Omit<ListedDocument, 'load'>, signal: AbortSignal) => LoadedItem | Promise<LoadedItem>,
	): SourceItem {
		const known = isFormat(format) ? format : 'html';
		const updatedAt = readInstant(lastmod ?? modified ?? '');
		const meta = metaOf({}, { contentType: CONTENT_TYPES[known], updatedAt, url: finalUrl });
		const listed = { id: url, format: known, title: titleOf(url), meta, version };
		return { listed: { ...listed, load: async (signal) => load(listed, signal) } };
	}

	#validators({ headers }: Answered): Pick<PageRecord, 'etag' | 'modified'> {
		const modified = headers['last-modified'] ?? null;
		const [changed, answered] = [readInstant(modified ?? ''), readInstant(headers.date ?? '')];
		const isOld = changed !== null && answered !== null && answered - changed >= DATE_MS;
		return { etag: headers.etag ?? null, modified: isOld ? modified : null };
	}

	async #note(): Promise<void> {
		const noted = this.#noted;
		this.#noted = [];
		if (noted.length > 0) await this.#access.pages.put(this.#place, noted, this.#access.clock.now());
	}
}

async function* each<T>(items: readonly T[]): AsyncGenerator<T> {
	yield* items;
}

function versionOf({ bytes }: Answered): string {
	return sha256Of([bytes]).slice(0, 32);
}

function validatorsOf(known: PageRecord | null): Record<string, string> {
	if (known === null) return {};
	if (known.etag !== null) return { 'if-none-match': known.etag };
	return known.modified === null ? {} : { 'if-modified-since': known.modified };
}

function isBusy(status: number): boolean {
	return status === 429 || status >= 500;
}

function mediaType({ headers }: Answered): string {
	return (headers['content-type'] ?? '').split(';')[0]?.trim().toLowerCase() ?? '';
}

function pageFormat(answer: Answered): DocumentFormat | { readonly reason: string } {
	const type = mediaType(answer);
	const format = UNTOLD.has(type) ? formatOf(answer.url.pathname) : FORMATS[type];
	return format ?? { reason: `there is no reader for its content type ${type || '(none)'}` };
}

function documentOf(listed: Omit<ListedDocument, 'load'>, { bytes, headers }: Answered) {
	const charset = /;\s*charset\s*=\s*"?([\w:.-]+)/i.exec(headers['content-type'] ?? '')?.[1] ?? null;
	return { ...listed, bytes, charset };
}

/** What it is called where it does not say so itself. */
function titleOf(url: string): string {
	const { pathname, host } = new URL(url);
	const last = pathname.split('/').findLast((part) => part !== '');
	return last === undefined ? host : last.replace(/\.\w+$/, '') || last;
}
