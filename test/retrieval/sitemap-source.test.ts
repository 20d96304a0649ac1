import type { IncomingHttpHeaders } from 'node:http';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { VirtualClock } from '../../src/base/virtual-clock.ts';
import type { SourceConfig } from '../../src/contracts/collection.ts';
import { Pace } from '../../src/retrieval/sources/sitemap/pace.ts';
import { parseSitemap } from '../../src/retrieval/sources/sitemap/parse-sitemap.ts';
import { openSource } from '../../src/retrieval/sources/source.ts';
import {
	collection,
	openRetrievalFixture,
	type RetrievalFixture,
	retrievalConfig,
} from '../support/retrieval-fixture.ts';
import { ACCESS, itemsOf } from '../support/source-access.ts';
import { htmlPage, openWebSite, sitemapIndex, sitemapSource, urlset, type WebSite } from '../support/web-site.ts';

let site: WebSite;
let other: WebSite;
beforeEach(async () => {
	site = await openWebSite();
	other = await openWebSite();
});
afterEach(() => {
	site.close();
	other.close();
});

const at = (path: string, where = site) => `${where.origin}${path}`;
const source = (overrides: Parameters<typeof sitemapSource>[1] = {}) => sitemapSource([at('/sitemap.xml')], overrides);
/** Ids of documents, and reasons of failures, without the origins. */
async function read(config: SourceConfig) {
	const bare = (text: string) =>
		text
			.replaceAll(site.origin, '')
			.replaceAll(other.origin, 'other:')
			.replaceAll(site.host, '')
			.replaceAll(other.host, 'other');
	return (await itemsOf(config)).map((item) =>
		'failed' in item ? [bare(item.failed.document), bare(item.failed.reason)] : bare(item.document.id),
	);
}
const unusable = (config: SourceConfig, message: RegExp) =>
	expect(itemsOf(config)).rejects.toMatchObject({ code: 'source_unusable', message: expect.stringMatching(message) });

describe('a site with sitemaps', () => {
	it('gives its pages, each once, through indexes, packed sitemaps, lists of addresses and circles', async () => {
		const packed = gzipSync(String(urlset(at('/b'), at('/a#part')).body));
		site.serve({
			'/sitemap.xml': sitemapIndex(at('/sitemap.xml'), at('/one.xml.gz'), at('/two.txt'), at('/nested.xml')),
			'/one.xml.gz': { body: packed, headers: { 'content-type': 'application/gzip' } },
			'/two.txt': { body: `${at('/a')}\n${at('/c.md')}\n`, headers: { 'content-type': 'text/plain' } },
			'/nested.xml': sitemapIndex(at('/sitemap.xml')),
			'/a': htmlPage('A', 'The oak.'),
			'/b': htmlPage('B', 'Flax.'),
			'/c.md': { body: '# C', headers: { 'content-type': 'text/markdown' } },
		});
		const items = await itemsOf(source());
		expect(items.map((item) => 'document' in item && [item.document.id, item.document.format])).toEqual([
			[at('/b'), 'html'],
			[at('/a'), 'html'],
			[at('/c.md'), 'markdown'],
		]);
		expect(items[0]).toMatchObject({ document: { charset: 'utf-8', title: 'b', meta: { url: at('/b') } } });
	});

	it('is asked for what its scope allows and no more, wherever a sitemap or a redirect leads', async () => {
		const to = (location: string) => ({ status: 302, headers: { location } });
		site.serve({
			'/sitemap.xml': urlset(
				at('/guide/a'),
				at('/guide/skip/b'),
				at('/news'),
				at('/guide/there', other),
				at('/guide/moved'),
				at('/guide/away'),
				at('/guide/out'),
				at('/guide/loop'),
				'ftp://x.test/a',
				'nothing',
				`http://me:secret@${site.host}/guide/c`,
			),
			'/guide/a': htmlPage('A', 'x'),
			'/guide/moved': to('/guide/a'),
			'/guide/away': to(at('/guide/there', other)),
			'/guide/out': to('/news'),
			'/guide/loop': to('/guide/loop'),
			'/news': htmlPage('News', 'x'),
		});
		const config = source({ allow: [`${site.host}/guide/**`], exclude: ['guide/skip/**'] });
		const found = await read({
			...config,
			allow: [...(config.kind === 'sitemap' ? config.allow : []), `${site.host}/sitemap.xml`],
		} as SourceConfig);
		expect(found).toEqual([
			'/guide/a',
			['/news', '/news is not allowed; allow says what is'],
			['other:/guide/there', 'other/guide/there is not allowed; allow says what is'],
			'/guide/moved',
			['/guide/away', 'it redirects to other:/guide/there, and other/guide/there is not allowed; allow says what is'],
			['/guide/out', 'it redirects to /news, and /news is not allowed; allow says what is'],
			['/guide/loop', 'it redirects more than 5 times'],
			['ftp://x.test/a', 'it is no http or https address: ftp:'],
			['nothing', 'it is no address'],
			[expect.stringContaining('/guide/c'), 'its address holds credentials'],
		]);
		expect(other.asked).toEqual([]);
		expect(site.paths()).not.toContain('/news');
	});

	it('is asked as its robots.txt allows, and at the pace that it asks for', async () => {
		const robots =
			'User-agent: *\nDisallow: /\n\nUser-agent: Plimsoll\nDisallow: /private/\nAllow: /private/open\nDisallow: /*.pdf$\n';
		site.serve({
			'/sitemap.xml': urlset(at('/a'), at('/private/b'), at('/private/open'), at('/c.pdf')),
			'/robots.txt': { body: robots, headers: { 'content-type': 'text/plain' } },
			'/a': htmlPage('A', 'x'),
			'/private/open': htmlPage('O', 'x'),
		});
		const refusal = `robots.txt of  does not allow plimsoll to read it`;
		expect(await read(source())).toEqual(['/a', ['/private/b', refusal], '/private/open', ['/c.pdf', refusal]]);
		expect(site.paths().filter((path) => path === '/robots.txt')).toHaveLength(1);
		expect(await read(source({ userAgent: 'else/2' }))).toHaveLength(4);
		expect(site.paths()).toEqual(['/sitemap.xml', '/robots.txt']);
	});

	it('is not asked where its robots.txt cannot be had', async () => {
		site.serve({
			'/sitemap.xml': urlset(at('/a')),
			'/robots.txt': { status: 503, headers: { 'retry-after': '0.001' } },
		});
		await unusable(source(), /robots\.txt answered 503/);
	});

	it('that leads to a private address is refused, by its number and by its name', async () => {
		site.serve({ '/sitemap.xml': urlset(at('/a')), '/a': htmlPage('A', 'x') });
		await unusable(source({ privateAddresses: 'refuse' }), /127\.0\.0\.1 is a private address/);
		const named = at('/sitemap.xml').replace('127.0.0.1', 'localhost');
		await unusable(sitemapSource([named], { privateAddresses: 'refuse' }), /localhost leads to the private address/);
		await unusable(sitemapSource(['http://169.254.169.254/sitemap.xml']), /169\.254\.169\.254 is a private address/);
		expect(site.paths()).toEqual([]);
	});

	it('counts pages that cannot be read with their reasons, and leaves out those that are gone', async () => {
		const html = String(htmlPage('A', 'x').body);
		const packed = (body: string) => ({ body: gzipSync(body), headers: { 'content-encoding': 'gzip' } });
		site.serve({
			'/sitemap.xml': urlset(...'abcdefghi'.split('').map((name) => at(`/${name}`))),
			'/a': packed(html),
			'/b': packed('x'.repeat(1_000_000)),
			'/c': { body: 'x'.repeat(20_000) },
			'/d': { body: 'x', headers: { 'content-type': 'image/png' } },
			'/e': { status: 404 },
			'/f': { status: 410 },
			'/g': { status: 403 },
			'/h': { body: 'x', headers: { 'content-encoding': 'zstd' } },
			'/i': { status: 304 },
		});
		expect(await read(source())).toEqual([
			'/a',
			['/b', 'larger than 10000 bytes when it is unpacked'],
			['/c', 'larger than 10000 bytes'],
			['/d', 'there is no reader for its content type image/png'],
			['/e', 'it is listed and answered 404'],
			['/g', 'it is listed and answered 403'],
			['/h', 'its encoding zstd is not read'],
			['/i', 'it is listed and answered 304'],
		]);
	});

	it('sends credentials to the origins of its sitemaps alone, and ends the run when they are refused in the middle', async () => {
		let left = 3;
		const guarded = (page: ReturnType<typeof htmlPage>) => (headers: IncomingHttpHeaders) =>
			headers.authorization === 'Bearer x' && left-- > 0 ? page : { status: 401 };
		site.serve({
			'/sitemap.xml': guarded(urlset(at('/a'), at('/there', other), at('/b'), at('/c'))),
			'/a': guarded(htmlPage('A', 'x')),
			'/b': guarded(htmlPage('B', 'x')),
			'/c': guarded(htmlPage('C', 'x')),
		});
		other.serve({ '/there': htmlPage('T', 'x') });
		const config = source({ authorization: 'Bearer x', allow: [site.host, other.host], concurrencyMax: 1 });
		await unusable(config, /\/c answered 401: the credentials are refused, or have expired/);
		expect(other.asked.map(({ headers }) => headers.authorization)).toEqual([undefined, undefined]);
	});

	it('that fails in the middle ends the run; one page that fails is counted', async () => {
		const busy = { status: 503, headers: { 'retry-after': '0.001' } };
		const names = 'abcdefg'.split('');
		const pages = Object.fromEntries(names.map((name) => [`/${name}`, htmlPage(name, 'x')]));
		const list = { '/sitemap.xml': urlset(...names.map((name) => at(`/${name}`))) };
		site.serve({ ...list, ...pages, '/c': busy });
		expect(await read(source())).toEqual(['/a', '/b', ['/c', 'it is listed and answered 503'], '/d', '/e', '/f', '/g']);
		site.serve({
			...list,
			'/a': htmlPage('A', 'x'),
			...Object.fromEntries(names.slice(1).map((name) => [`/${name}`, busy])),
		});
		await unusable(source({ concurrencyMax: 1 }), /5 pages one after another were not answered/);
		site.serve({ '/sitemap.xml': urlset(at('/a')), '/a': busy });
		await unusable(source(), /none of the pages that were asked for was answered, 1 in all/);
	});

	it('that answers none of its pages cannot be used, however many others it lists that are not asked for', async () => {
		const busy = { status: 503, headers: { 'retry-after': '0.001' } };
		const others = 'abcdef'.split('').map((name) => at(`/${name}`, other));
		const robots = { body: 'User-agent: *\nDisallow: /private/', headers: { 'content-type': 'text/plain' } };
		const list = {
			'/sitemap.xml': urlset(at('/1'), ...others, 'nothing', at('/private/a'), at('/2'), at('/private/b')),
			'/robots.txt': robots,
		};
		site.serve({ ...list, '/1': busy, '/2': busy });
		await unusable(source(), /none of the pages that were asked for was answered, 2 in all/);
		site.serve({ ...list, '/1': busy, '/2': htmlPage('Two', 'x') });
		expect((await read(source())).filter((one) => typeof one === 'string')).toEqual(['/2']);
		site.serve(list);
		expect((await read(source())).filter(([id]) => id === '/1' || id === '/2')).toEqual([
			['/1', 'it is listed and answered 404'],
			['/2', 'it is listed and answered 404'],
		]);
	});

	it('that fails in the middle is known by its pages in a row, whatever may not be asked for between them', async () => {
		const busy = { status: 503, headers: { 'retry-after': '0.001' } };
		const names = 'abcde'.split('');
		site.serve({
			'/sitemap.xml': urlset(at('/ok'), ...names.flatMap((name) => [at(`/${name}`), at(`/private/${name}`)])),
			'/robots.txt': { body: 'User-agent: *\nDisallow: /private/', headers: { 'content-type': 'text/plain' } },
			'/ok': htmlPage('Ok', 'x'),
			...Object.fromEntries(names.map((name) => [`/${name}`, busy])),
		});
		await unusable(source({ concurrencyMax: 1 }), /5 pages one after another were not answered/);
	});

	it.each([
		['is missing', { status: 404 }, /answered 404/],
		['is a page', htmlPage('Log in', 'x'), /is no whole sitemap/],
		['is cut off', { body: '<urlset><url><loc>http://x.test/a</loc></url>' }, /is no whole sitemap/],
		['is a bomb', { body: gzipSync(Buffer.alloc(60_000_000, 60)) }, /larger than 52428800 bytes when it is unpacked/],
		['lists itself deeper and deeper', null, /deeper than depth_max \(2\)/],
	])('whose sitemap %s cannot be used', async (_, page, message) => {
		const deep = Object.fromEntries([1, 2, 3, 4].map((n) => [`/${n}.xml`, sitemapIndex(at(`/${n + 1}.xml`))]));
		site.serve({ '/sitemap.xml': page ?? sitemapIndex(at('/1.xml')), ...deep });
		await unusable(source(), message);
	});

	it('that lists too many pages, or takes too long, cannot be used', async () => {
		site.serve({ '/sitemap.xml': urlset(...Array.from({ length: 11 }, (__, n) => at(`/${n}`))) });
		await unusable(source({ pagesMax: 10 }), /more than pages_max \(10\)/);
		const clock = new VirtualClock();
		const access = { ...ACCESS, clock };
		const opened = await openSource(source({ totalTimeMs: 60_000 }), access, new AbortController().signal);
		await clock.advance(60_000);
		await expect(opened.items()[Symbol.asyncIterator]().next()).rejects.toThrow(/longer than total_time_ms \(60000\)/);
	});
});

describe('an index over a site', () => {
	let fixture: RetrievalFixture;
	afterEach(() => fixture.close());
	const open = async (overrides = {}) => {
		fixture = await openRetrievalFixture(() => retrievalConfig([collection([source(overrides)])]));
	};
	const found = async (query: string) => (await fixture.search(query)).hits.map(({ title }) => title);
	const report = async () => (await fixture.ingest()).sources[0];

	it('fetches what changed and no more, and knows pages whose servers tell nothing by their bytes', async () => {
		await open();
		const oak = (text: string, etag: string) => htmlPage('Oak', text, { etag });
		const list = urlset(at('/oak'), at('/flax'));
		site.serve({ '/sitemap.xml': list, '/oak': oak('The oak.', '"1"'), '/flax': htmlPage('Flax', 'Linen.') });
		expect(await report()).toMatchObject({ new: 2, failures: 0 });
		site.paths();
		expect(await report()).toMatchObject({ unchanged: 2, failures: 0 });
		const conditions = site.asked.map(({ path, headers }) => [path, headers['if-none-match']]);
		expect(conditions).toEqual(
			expect.arrayContaining([
				['/oak', '"1"'],
				['/flax', undefined],
			]),
		);
		site.serve({ '/sitemap.xml': list, '/oak': oak('The willow.', '"2"'), '/flax': htmlPage('Flax', 'Linen.') });
		expect(await report()).toMatchObject({ unchanged: 1, changed: 1 });
		expect([await found('willow'), await found('linen')]).toEqual([['Oak'], ['Flax']]);
		expect((await fixture.ingest('docs', { fresh: true })).sources[0]).toMatchObject({ seen: 2, failures: 0 });
		expect(await found('willow')).toEqual(['Oak']);
	});

	it('asks for no page whose date in the sitemap is the same, where that is trusted', async () => {
		await open({ trustLastmod: true });
		const serve = (date: string) =>
			site.serve({
				'/sitemap.xml': urlset([at('/a'), '2026-01-01'], [at('/b'), date]),
				'/a': htmlPage('A', `The oak on ${date}.`),
				'/b': htmlPage('B', `Flax on ${date}.`),
			});
		serve('2026-01-01');
		await fixture.ingest();
		site.paths();
		serve('2026-02-01');
		expect(await report()).toMatchObject({ unchanged: 1, changed: 1 });
		expect(site.paths()).toEqual(['/sitemap.xml', '/robots.txt', '/b']);
	});

	it('keeps what it has when the site breaks, and drops what is gone', async () => {
		await open();
		const pages = { '/a': htmlPage('A', 'The oak.'), '/b': htmlPage('B', 'Flax.'), '/c': htmlPage('C', 'The birch.') };
		const list = { '/sitemap.xml': urlset(at('/a'), at('/b'), at('/c')) };
		site.serve({ ...list, ...pages });
		const { generation } = await fixture.ingest();
		const busy = { status: 500, headers: { 'retry-after': '0.001' } };
		site.serve({ ...list, '/a': busy, '/b': busy, '/c': busy });
		await expect(fixture.ingest()).rejects.toMatchObject({ code: 'source_unusable' });
		expect([(await fixture.search('oak')).generation, await found('oak')]).toEqual([generation, ['A']]);
		site.serve({ ...list, ...pages, '/a': { status: 404 }, '/b': { status: 410 } });
		expect(await report()).toMatchObject({ failures: 1, kept: 1, deleted: 1, unchanged: 1 });
		expect([await found('oak'), await found('flax'), await found('birch')]).toEqual([['A'], [], ['C']]);
	});
});

it('requests are let through one after another, with the pause between them', async () => {
	const clock = new VirtualClock();
	const pace = new Pace(clock, 100);
	const times: number[] = [];
	const start = clock.monotonic();
	const turns = [1, 2, 3].map(() =>
		pace.turn(new AbortController().signal).then(() => times.push(clock.monotonic() - start)),
	);
	for (let n = 0; n < 3; n++) {
		await clock.advance(100);
	}
	await Promise.all(turns);
	expect(times).toEqual([0, 100, 200]);
});

it('what is in a sitemap beside addresses and dates is left alone, with any prefix of its namespace', () => {
	const xml =
		'<s:urlset xmlns:s="x" xmlns:image="y"><s:url><s:loc>http://x.test/?a=1&amp;b=2</s:loc><image:image><image:loc>http://x.test/i.png</image:loc></image:image><s:lastmod>2026-01-01</s:lastmod></s:url></s:urlset>';
	expect(parseSitemap(xml)).toEqual({
		kind: 'pages',
		entries: [{ loc: 'http://x.test/?a=1&b=2', lastmod: '2026-01-01' }],
	});
	expect(parseSitemap('<urlset/>')).toEqual({ kind: 'pages', entries: [] });
	expect(parseSitemap('')).toBeNull();
});
