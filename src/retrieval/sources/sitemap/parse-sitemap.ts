import { ShallowParser } from '../../shallow-parser.ts';

export interface SitemapEntry {
	readonly loc: string;
	readonly lastmod: string | null;
}

/** What a sitemap lists: pages, or further sitemaps. */
export interface Sitemap {
	readonly kind: 'pages' | 'sitemaps';
	readonly entries: readonly SitemapEntry[];
}

/**
 * A sitemap as sitemaps.org describes it: an `urlset`, a `sitemapindex`, or one address a line. Null when it is none, or not
 * whole: what looks like an empty site would delete every page.
 */
export function parseSitemap(text: string): Sitemap | null {
	const body = text.replace(/^\uFEFF/, '').trim();
	return body.startsWith('<') ? parseXml(body) : parseLines(body);
}

function parseXml(xml: string): Sitemap | null {
	const entries: SitemapEntry[] = [];
	const open: string[] = [];
	let root = '';
	let entry: Record<string, string> = {};
	const parser = new ShallowParser(
		{
			onopentag: (name) => {
				const local = localName(name);
				if (open.length === 0 && root === '') root = local;
				if (open.length === 1) entry = {};
				open.push(name);
			},
			ontext: (text) => {
				const name = open.length === 3 ? localName(open[2] ?? '') : '';
				// A tag of another namespace, such as image:loc, says something else.
				if (name === 'lastmod' || (name === 'loc' && prefixOf(open[2]) === prefixOf(open[0]))) {
					entry[name] = (entry[name] ?? '') + text;
				}
			},
			onclosetag: (name) => {
				open.pop();
				const isEntry = open.length === 1 && (localName(name) === 'url' || localName(name) === 'sitemap');
				if (isEntry) entries.push({ loc: (entry.loc ?? '').trim(), lastmod: entry.lastmod?.trim() || null });
			},
		},
		{ xmlMode: true, decodeEntities: true },
	);
	parser.end(xml);
	if (root !== 'urlset' && root !== 'sitemapindex') return null;
	// The parser closes what was cut off.
	if (!new RegExp(`</(?:[\\w.-]+:)?${root}\\s*>$|<(?:[\\w.-]+:)?${root}[^<>]*/>$`).test(xml)) return null;
	return { kind: root === 'urlset' ? 'pages' : 'sitemaps', entries };
}

function parseLines(body: string): Sitemap | null {
	const lines = body.split(/\s*\n\s*/).filter((line) => line !== '');
	if (lines.length === 0 || !lines.every((line) => /^https?:\/\/\S+$/i.test(line))) return null;
	return { kind: 'pages', entries: lines.map((loc) => ({ loc, lastmod: null })) };
}

function localName(name: string): string {
	return name.slice(name.indexOf(':') + 1);
}

function prefixOf(name = ''): string {
	return name.slice(0, name.indexOf(':') + 1);
}
