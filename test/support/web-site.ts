import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { SourceConfig } from '../../src/contracts/collection.ts';

/** What a path answers. */
export interface SitePage {
	readonly status?: number;
	readonly headers?: Readonly<Record<string, string>>;
	readonly body?: string | Uint8Array;
}

export interface WebSite {
	readonly origin: string;
	/** `127.0.0.1:<port>`. */
	readonly host: string;
	/** Method-less: path and headers of each request, in order. */
	readonly asked: { readonly path: string; readonly headers: IncomingHttpHeaders }[];
	/** Replaces what is answered; a path that is not there answers 404. */
	serve(pages: Readonly<Record<string, SitePage | ((headers: IncomingHttpHeaders) => SitePage)>>): void;
	/** Paths that were asked since the last call. */
	paths(): string[];
	close(): void;
}

/** A real web site on this machine. */
export async function openWebSite(): Promise<WebSite> {
	let pages: Parameters<WebSite['serve']>[0] = {};
	const asked: WebSite['asked'] = [];
	const server = createServer((request, response) => {
		const path = request.url ?? '/';
		asked.push({ path, headers: request.headers });
		const page = pages[path] ?? { status: 404 };
		const { status = 200, headers = {}, body = '' } = typeof page === 'function' ? page(request.headers) : page;
		const etag = headers.etag;
		if (etag !== undefined && request.headers['if-none-match'] === etag) response.writeHead(304).end();
		else response.writeHead(status, { 'content-type': 'text/html; charset=utf-8', ...headers }).end(body);
	}).listen(0, '127.0.0.1');
	await once(server, 'listening');
	const host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
	return {
		origin: `http://${host}`,
		host,
		asked,
		serve(next) {
			pages = next;
		},
		paths: () => asked.splice(0).map(({ path }) => path),
		close() {
			server.closeAllConnections();
			server.close();
		},
	};
}

export function sitemapSource(
	urls: readonly string[],
	overrides: Partial<Extract<SourceConfig, { kind: 'sitemap' }>> = {},
): SourceConfig {
	return {
		name: 'web',
		kind: 'sitemap',
		urls: [...urls],
		allow: [],
		include: ['**'],
		exclude: [],
		authorization: null,
		userAgent: 'plimsoll/1.0',
		privateAddresses: 'allow',
		trustLastmod: false,
		pagesMax: 1_000,
		pageBytesMax: 10_000,
		depthMax: 2,
		concurrencyMax: 4,
		requestsPerSecond: 1_000,
		requestTimeoutMs: 20_000,
		totalTimeMs: 600_000,
		...overrides,
	};
}

export function urlset(...urls: readonly (string | readonly [url: string, lastmod: string])[]): SitePage {
	const entries = urls.map((url) => (typeof url === 'string' ? [url, ''] : url));
	const body = entries
		.map(([loc, mod]) => `<url><loc>${loc}</loc>${mod ? `<lastmod>${mod}</lastmod>` : ''}</url>`)
		.join('');
	return {
		headers: { 'content-type': 'application/xml' },
		body: `<?xml version="1.0"?><urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">${body}</urlset>`,
	};
}

export function sitemapIndex(...urls: readonly string[]): SitePage {
	const body = urls.map((loc) => `<sitemap><loc>${loc}</loc></sitemap>`).join('');
	return { headers: { 'content-type': 'application/xml' }, body: `<sitemapindex>${body}</sitemapindex>` };
}

export function htmlPage(title: string, text: string, headers: Readonly<Record<string, string>> = {}): SitePage {
	return { headers, body: `<html><head><title>${title}</title></head><body><p>${text}</p></body></html>` };
}
