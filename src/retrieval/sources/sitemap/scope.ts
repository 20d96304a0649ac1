import path from 'node:path';

/** Which addresses a source may ask: origins with, each, the paths below it. */
export class WebScope {
	readonly #places: readonly { readonly host: string; readonly paths: string | null }[];

	/** @param allow such as `docs.example.com`, `*.example.com` or `docs.example.com/guide/**`; empty: the hosts of `urls`. */
	constructor(urls: readonly string[], allow: readonly string[]) {
		const hosts = urls.flatMap((url) => URL.parse(url)?.host ?? []);
		this.#places = (allow.length > 0 ? allow : hosts).map((written) => {
			const [host = '', ...rest] = written.toLowerCase().split('/');
			const paths = written.slice(host.length + 1);
			return { host, paths: rest.length === 0 || paths === '' ? null : paths };
		});
	}

	allows(url: URL): boolean {
		return this.#places.some(({ host, paths }) => {
			const isHost = host.startsWith('*.') ? url.host.endsWith(host.slice(1)) : url.host === host;
			return isHost && (paths === null || matchesPath(url, paths));
		});
	}
}

/** Whether the path of an address matches a glob, without its first and last slash, percent-encoding undone. */
export function matchesPath(url: URL, pattern: string): boolean {
	const bare = decoded(url.pathname).replace(/^\/|\/$/g, '');
	return [pattern, pattern.replace(/\/\*\*$/, '')].some((glob) => path.posix.matchesGlob(bare, glob));
}

function decoded(pathname: string): string {
	try {
		return decodeURIComponent(pathname);
	} catch {
		return pathname;
	}
}
