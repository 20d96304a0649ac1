import { textOf } from '../fetch-bounded.ts';
import { parseSitemap, type SitemapEntry } from './parse-sitemap.ts';
import { matchesPath } from './scope.ts';
import { decoded, type Site, type SitemapConfig } from './site.ts';

/** What sitemaps.org allows, unpacked. */
const SITEMAP_BYTES_MAX = 52_428_800;
const SITEMAPS_MAX = 1_000;
const URL_CHARS_MAX = 1_024;

/** A page that a sitemap lists, or why it cannot be one. */
export type Listed =
	| { readonly url: string; readonly lastmod: string | null }
	| { readonly id: string; readonly reason: string };

/**
 * All pages that the sitemaps of a source list, those below an index too, each once, in their order. Throws `source_unusable` when
 * one of the sitemaps cannot be read: without it pages would seem to be gone.
 */
export async function readSitemaps(config: SitemapConfig, site: Site, signal: AbortSignal): Promise<Listed[]> {
	const pages = new Map<string, Listed>();
	const seen = new Set<string>();
	const waiting = config.urls.map((url) => ({ url: new URL(url), depth: 0 }));
	for (let next = waiting.shift(); next; next = waiting.shift()) {
		const { url, depth } = next;
		// An index may list itself, or one that lists it.
		if (seen.has(url.href)) continue;
		seen.add(url.href);
		if (seen.size > SITEMAPS_MAX) throw site.unusable(`it has more than ${SITEMAPS_MAX} sitemaps`);
		if (depth > config.depthMax) throw site.unusable(`${url.href} lies deeper than depth_max (${config.depthMax})`);
		const { kind, entries } = await readSitemap(url, site, signal);
		if (kind === 'sitemaps')
			waiting.push(...entries.map(({ loc }) => ({ url: below(loc, url, site), depth: depth + 1 })));
		else for (const entry of entries) add(pages, entry, config, site);
		if (pages.size > config.pagesMax) throw site.unusable(`it lists more than pages_max (${config.pagesMax}) pages`);
	}
	return [...pages.values()];
}

async function readSitemap(url: URL, site: Site, signal: AbortSignal) {
	const answer = await site.get(url, { bytesMax: SITEMAP_BYTES_MAX, robots: false, signal });
	if (answer.kind !== 'answer') throw site.unusable(`the sitemap ${url.href} cannot be read: ${answer.reason}`);
	if (answer.status !== 200) throw site.unusable(`the sitemap ${url.href} answered ${answer.status}`);
	const { bytes } = answer;
	const isPacked = bytes[0] === 0x1f && bytes[1] === 0x8b;
	const unpacked = isPacked ? await decoded(bytes, 'gzip', SITEMAP_BYTES_MAX) : bytes;
	if (typeof unpacked === 'string') throw site.unusable(`the sitemap ${url.href} cannot be read: ${unpacked}`);
	const sitemap = parseSitemap(textOf({ ...answer, bytes: unpacked }));
	if (sitemap) return sitemap;
	throw site.unusable(`${url.href} is no whole sitemap (an urlset, a sitemapindex, or an address on each line)`);
}

function below(loc: string, index: URL, site: Site): URL {
	const url = URL.parse(loc);
	if (url === null) throw site.unusable(`${index.href} lists a sitemap that is no address: ${loc.slice(0, 200)}`);
	return url;
}

function add(pages: Map<string, Listed>, entry: SitemapEntry, config: SitemapConfig, site: Site): void {
	const listed = listedOf(entry, config, site);
	if (listed === null) return;
	const id = 'reason' in listed ? listed.id : listed.url;
	if (!pages.has(id)) pages.set(id, listed);
}

/** Null for a page that the globs leave out. */
function listedOf({ loc, lastmod }: SitemapEntry, config: SitemapConfig, site: Site): Listed | null {
	const url = URL.parse(loc);
	const id = loc.slice(0, URL_CHARS_MAX) || 'an entry without an address';
	if (url === null) return { id, reason: 'it is no address' };
	url.hash = '';
	const hindrance = site.outOfScope(url);
	if (hindrance !== null) return { id, reason: hindrance };
	const matches = (glob: string) => matchesPath(url, glob);
	if (!config.include.some(matches) || config.exclude.some(matches)) return null;
	if (url.href.length > URL_CHARS_MAX) return { id, reason: `its address is longer than ${URL_CHARS_MAX} characters` };
	return { url: url.href, lastmod };
}
