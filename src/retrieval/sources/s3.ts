import { AwsV4Signer } from 'aws4fetch';
import { Parser } from 'htmlparser2';
import { readInstant } from '../../base/instant.ts';
import { PlimsollError } from '../../spec/errors.ts';
import { formatOf } from '../document-format.ts';
import { metaOf } from '../document-meta.ts';
import type { DocumentFormat, ListedDocument, OpenSource, SourceItem } from '../source-item.ts';
import type { ConfigOf, SourceAccess } from './access.ts';
import { type Fetched, fetchBounded, textOf } from './fetch-bounded.ts';
import { excludes, includes } from './globs.ts';

type S3Config = ConfigOf<'s3'>;

/** A listing of 1,000 keys of 1,024 characters is below a tenth of this. */
const LISTING_BYTES_MAX = 16 * 1024 * 1024;
/** Answers about who asks, not about what was asked for: the run ends, and deletes nothing. */
const CREDENTIALS =
	/^(ExpiredToken|TokenRefreshRequired|InvalidToken|InvalidAccessKeyId|SignatureDoesNotMatch|RequestTimeTooSkewed|AuthorizationHeaderMalformed)$/;

interface ListedObject {
	readonly key: string;
	readonly etag: string;
	readonly size: number;
	readonly modified: string;
}

interface Page {
	readonly objects: readonly ListedObject[];
	readonly next: string | null;
}

/**
 * The objects below a prefix, in the order of their keys, listed a page at a time; each is fetched only when its ETag or
 * size changed. Throws `source_unusable` when the bucket cannot be listed or the credentials are refused, also in the middle.
 */
export async function openS3(config: S3Config, access: SourceAccess, signal: AbortSignal): Promise<OpenSource> {
	const bucket = new Bucket(config, access);
	const first = await bucket.list(null, signal);
	return {
		total: null,
		async *items() {
			for (let page = first; ; page = await bucket.list(page.next, signal)) {
				for (const object of page.objects) {
					const item = toItem(config, bucket, object);
					if (item) yield item;
				}
				if (page.next === null) return;
			}
		},
	};
}

function toItem(config: S3Config, bucket: Bucket, object: ListedObject): SourceItem | null {
	const id = object.key.slice(config.prefix.length);
	// A key that ends in a slash stands for a folder in consoles.
	if (id === '' || id.endsWith('/') || excludes(config, id) || !includes(config, id)) return null;
	const failed = (reason: string): SourceItem => ({ failed: { document: id, reason } });
	const format = formatOf(id);
	if (!format) return failed('its extension is none that is read');
	if (object.size > config.objectBytesMax) {
		return failed(`${object.size} bytes, larger than object_bytes_max (${config.objectBytesMax} bytes)`);
	}
	const meta = metaOf({}, { updatedAt: readInstant(object.modified) });
	const title = (id.split('/').at(-1) ?? id).replace(/\.[^.]+$/, '');
	const listed = { id, format, title, meta, version: `${object.etag} ${object.size}` };
	return { listed: { ...listed, load: (signal) => load(bucket, listed, object, signal) } };
}

async function load(
	bucket: Bucket,
	listed: Omit<ListedDocument, 'load'> & { readonly format: DocumentFormat },
	object: ListedObject,
	signal: AbortSignal,
): ReturnType<ListedDocument['load']> {
	const fetched = await bucket.get(object.key, signal);
	if ('reason' in fetched) return { failed: { document: listed.id, reason: fetched.reason } };
	const { bytes, headers } = fetched;
	const stated = Object.entries(headers).flatMap(([name, value]) =>
		name.startsWith('x-amz-meta-') ? [[name.slice(11), value]] : [],
	);
	const [contentType = null] = headers['content-type']?.split(';') ?? [];
	const meta = metaOf(Object.fromEntries(stated), { contentType, updatedAt: listed.meta.updatedAt });
	return { document: { id: listed.id, format: listed.format, title: listed.title, bytes, meta } };
}

class Bucket {
	readonly #config: S3Config;
	readonly #access: SourceAccess;

	constructor(config: S3Config, access: SourceAccess) {
		this.#config = config;
		this.#access = access;
	}

	async list(after: string | null, signal: AbortSignal): Promise<Page> {
		const { prefix, name } = this.#config;
		const query = new URLSearchParams({ 'list-type': '2', 'max-keys': '1000', prefix });
		if (after !== null) query.set('continuation-token', after);
		const fetched = await this.#fetch('', query, { bytesMax: LISTING_BYTES_MAX, signal });
		if ('reason' in fetched) throw this.#unusable(fetched.reason);
		if (fetched.status !== 200) throw this.#refused(fetched);
		const page = parseListing(textOf(fetched));
		if (!page) throw this.#unusable(`the answer to a listing is none: ${textOf(fetched).slice(0, 200)}`);
		if (page.next !== null && page.next === after)
			throw this.#unusable(`source ${name} gives the same page of its listing twice`);
		return page;
	}

	/** An object's bytes, or why it has none now. */
	async get(key: string, signal: AbortSignal): Promise<Fetched | { readonly reason: string }> {
		const path = key.split('/').map(encodeURIComponent).join('/');
		const fetched = await this.#fetch(`/${path}`, new URLSearchParams(), {
			bytesMax: this.#config.objectBytesMax,
			signal,
		});
		if ('reason' in fetched || fetched.status === 200) return fetched;
		if (fetched.status === 404) return { reason: 'it was removed after it was listed' };
		const refused = this.#refused(fetched);
		if (fetched.status === 401 || CREDENTIALS.test(codeOf(fetched))) throw refused;
		return { reason: `the store answered ${fetched.status} ${codeOf(fetched)}`.trim() };
	}

	async #fetch(
		path: string,
		query: URLSearchParams,
		bounds: { bytesMax: number; signal: AbortSignal },
	): Promise<Fetched | { reason: string }> {
		const { endpoint, bucket, requestTimeoutMs, region, accessKeyId, secretAccessKey, sessionToken } = this.#config;
		const { http, clock } = this.#access;
		const url = `${endpoint.replace(/\/+$/, '')}/${encodeURIComponent(bucket)}${path}${query.size > 0 ? `?${query}` : ''}`;
		const send = async () => {
			const datetime = new Date(clock.now()).toISOString().replaceAll(/[:-]|\.\d{3}/g, '');
			const credentials = { accessKeyId, secretAccessKey, ...(sessionToken !== null && { sessionToken }) };
			const signed = await new AwsV4Signer({
				method: 'GET',
				url,
				service: 's3',
				region,
				datetime,
				...credentials,
			}).sign();
			// The signer leaves the path as it is; what it changes of the query is signed.
			return { url: signed.url.href, headers: Object.fromEntries(signed.headers) };
		};
		return fetchBounded({ http, clock, send, timeoutMs: requestTimeoutMs, ...bounds });
	}

	#refused(fetched: Fetched): PlimsollError {
		const code = codeOf(fetched);
		const what =
			code === 'ExpiredToken' ? 'the credentials have expired' : `the store answered ${fetched.status} ${code}`.trim();
		return this.#unusable(what);
	}

	#unusable(reason: string): PlimsollError {
		const { name, bucket } = this.#config;
		return new PlimsollError('source_unusable', `Source ${name}: the bucket ${bucket} cannot be used: ${reason}.`);
	}
}

function codeOf(fetched: Fetched): string {
	return /<Code>([\w.]{1,100})<\/Code>/.exec(textOf(fetched).slice(0, 4_096))?.[1] ?? '';
}

/** Null when it is no listing: what looks like an empty bucket would delete every document. */
function parseListing(xml: string): Page | null {
	const objects: ListedObject[] = [];
	const path: string[] = [];
	let object: Record<string, string> = {};
	const result: Record<string, string> = {};
	const parser = new Parser(
		{
			onopentag: (name) => {
				path.push(name);
				if (name === 'Contents') object = {};
			},
			ontext: (text) => {
				const name = path.at(-1) ?? '';
				const into = path.at(-2) === 'Contents' ? object : path.length === 2 ? result : {};
				into[name] = (into[name] ?? '') + text;
			},
			onclosetag: (name) => {
				path.pop();
				if (name !== 'Contents') return;
				const { Key: key = '', ETag: etag = '', Size: size = '', LastModified: modified = '' } = object;
				objects.push({ key, etag, size: Number(size), modified });
			},
		},
		{ xmlMode: true, decodeEntities: true },
	);
	parser.end(xml);
	// The parser closes what was cut off.
	const whole = xml.trimEnd().endsWith('</ListBucketResult>');
	if (!whole || result.Name === undefined || result.IsTruncated === undefined) return null;
	if (result.IsTruncated !== 'true') return { objects, next: null };
	return result.NextContinuationToken ? { objects, next: result.NextContinuationToken } : null;
}
