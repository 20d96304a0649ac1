import { importPKCS8, SignJWT } from 'jose';
import * as z from 'zod';
import type { Clock } from '../../base/clock.ts';
import { createHttpClient, type HttpClient } from '../../base/http.ts';
import { UpstreamError } from '../../spec/model.ts';

const SCOPE = 'https://www.googleapis.com/auth/cloud-platform';
const TOKEN_URL = 'https://oauth2.googleapis.com/token';
const METADATA_URL = 'http://metadata.google.internal/computeMetadata/v1/instance/service-accounts/default/token';
const TIMEOUT_MS = 10_000;
const ANSWER_BYTES_MAX = 64 * 1024;
/** A token is replaced before it ends, so that no attempt carries one that ends on its way. */
const EARLY_MS = 300_000;

const accountSchema = z.looseObject({
	client_email: z.string(),
	private_key: z.string(),
	token_uri: z.string().default(TOKEN_URL),
});
const tokenSchema = z.looseObject({ access_token: z.string(), expires_in: z.number() });

interface TokenOptions {
	readonly upstream: string;
	/** The JSON of a service account's key; null: the account of the Google machine that this process runs on. */
	readonly credentials: string | null;
	readonly clock: Clock;
	/** For other places than Google's own machines. */
	readonly metadataUrl?: string;
}

/** Access tokens of Google Cloud (RFC 7523 for service accounts), one at a time, kept until shortly before they end. */
export class GoogleTokens {
	readonly #options: TokenOptions;
	readonly #http: HttpClient = createHttpClient({ connectionsMax: 2, connectMs: TIMEOUT_MS });
	#held: { readonly token: string; readonly until: number } | null = null;
	#asking: Promise<string> | null = null;

	constructor(options: TokenOptions) {
		this.#options = options;
	}

	/** Throws UpstreamError: the failed attempt is one of the upstream's, and no model was asked. */
	token(): Promise<string> {
		if (this.#held !== null && this.#options.clock.monotonic() < this.#held.until)
			return Promise.resolve(this.#held.token);
		// Whoever comes meanwhile waits for the same answer.
		this.#asking ??= this.#ask().finally(() => {
			this.#asking = null;
		});
		return this.#asking;
	}

	close(): Promise<void> {
		return this.#http.close();
	}

	async #ask(): Promise<string> {
		const { clock, credentials, upstream } = this.#options;
		const timeUp = new AbortController();
		const stop = clock.after(TIMEOUT_MS, () => timeUp.abort(new Error(`no token within ${TIMEOUT_MS} ms`)));
		try {
			const request = credentials === null ? this.#metadataRequest() : await this.#accountRequest(credentials);
			const { statusCode, body } = await this.#http.request({ ...request, signal: timeUp.signal });
			const text = await body.text();
			if (statusCode !== 200 || text.length > ANSWER_BYTES_MAX) {
				const kind = statusCode >= 500 ? 'server_error' : 'authentication';
				const message = `${upstream} got no token from ${new URL(request.url).host}: it answered ${statusCode}`;
				throw new UpstreamError(kind, upstream, message, { sent: false });
			}
			const { access_token: token, expires_in: seconds } = tokenSchema.parse(JSON.parse(text));
			this.#held = { token, until: clock.monotonic() + seconds * 1000 - EARLY_MS };
			return token;
		} catch (thrown) {
			if (thrown instanceof UpstreamError) throw thrown;
			const why = thrown instanceof Error ? thrown.message : String(thrown);
			throw new UpstreamError('connect', upstream, `${upstream} got no token: ${why}`, { sent: false, cause: thrown });
		} finally {
			stop();
		}
	}

	#metadataRequest() {
		const url = this.#options.metadataUrl ?? METADATA_URL;
		return { url, method: 'GET' as const, headers: { 'metadata-flavor': 'Google' }, body: null };
	}

	async #accountRequest(credentials: string) {
		const { client_email: email, private_key: pem, token_uri: url } = accountSchema.parse(JSON.parse(credentials));
		const now = Math.floor(this.#options.clock.now() / 1000);
		const assertion = await new SignJWT({ scope: SCOPE })
			.setProtectedHeader({ alg: 'RS256', typ: 'JWT' })
			.setIssuer(email)
			.setAudience(url)
			.setIssuedAt(now)
			.setExpirationTime(now + 3600)
			.sign(await importPKCS8(pem, 'RS256'));
		const body = new URLSearchParams({ grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer', assertion });
		const headers = { 'content-type': 'application/x-www-form-urlencoded' };
		return { url, method: 'POST' as const, headers, body: body.toString() };
	}
}
