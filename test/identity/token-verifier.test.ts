import { createHmac, createPublicKey, type JsonWebKey } from 'node:crypto';
import fc from 'fast-check';
import { SignJWT, UnsecuredJWT } from 'jose';
import { describe, expect, onTestFinished, test } from 'vitest';
import { createHttpClient } from '../../src/base/http.ts';
import { VirtualClock } from '../../src/base/virtual-clock.ts';
import type { IssuerConfig } from '../../src/contracts/project.ts';
import { TokenVerifier } from '../../src/identity/token-verifier.ts';
import type { Caller } from '../../src/spec/identity.ts';
import { issuerConfig, type SigningPair, serving, sign, signingPair, startIssuer } from '../support/issuer-double.ts';

const ours = await signingPair('one');
const other = await signingPair('two');
const rsa = await signingPair('rsa', 'RS256');

function verifierOf(issuers: readonly IssuerConfig[], clock = new VirtualClock()) {
	const http = createHttpClient({ connectionsMax: 2, connectMs: 1000 });
	onTestFinished(() => http.close());
	const warnings: string[] = [];
	const verifier = new TokenVerifier({ clock, http, warn: (message) => warnings.push(message) }, issuers);
	const now = () => Math.floor(clock.now() / 1000);
	/** What comes of a token: the caller, or the code and words of its refusal. */
	const show = async (token: string): Promise<Caller | string> => {
		try {
			return await verifier.authenticate(token);
		} catch (thrown) {
			return `${(thrown as { code?: string }).code}: ${(thrown as Error).message}`;
		}
	};
	return { verifier, clock, now, show, warnings };
}

/** An issuer whose keys are known from the start. */
const known = (pairs: readonly SigningPair[], change: Partial<IssuerConfig> = {}) =>
	issuerConfig({ keys: { kind: 'file', set: { keys: pairs.map(({ jwk }) => jwk as JsonWebKey) } }, ...change });

const INVALID = 'token_invalid: The token is not valid.';
const EXPIRED = 'token_expired: The token has expired.';

const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');

describe('a token', () => {
	test('becomes a caller: tenant, user, and no scope beyond what the issuer may give', async () => {
		const { show, now } = verifierOf([known([ours])]);
		const token = await sign(ours, now(), { scope: 'openid invoke admin' });
		expect(await show(token)).toEqual({
			kind: 'token',
			tenantId: 'acme',
			keyId: 'jwt:staff',
			keyName: null,
			scopes: ['invoke'],
			features: null,
			user: 'ann',
			groups: [],
		});
	});

	test('proves the groups that the issuer’s claim names, and nothing that is no name', async () => {
		const config = known([ours], { claims: { ...known([ours]).claims, groups: 'realm.groups' } });
		const { show, now } = verifierOf([config]);
		const groupsOf = async (groups: unknown) =>
			((await show(await sign(ours, now(), { scope: 'invoke', realm: { groups } }))) as { groups: unknown }).groups;
		expect(await groupsOf(['sales team', 5, '', null, 'legal', 'x'.repeat(513)])).toEqual(['sales team', 'legal']);
		expect(await groupsOf('sales team')).toEqual(['sales team']);
		expect(await groupsOf({ 0: 'admin' })).toEqual([]);
	});

	test.each([
		['of another issuer', { iss: 'https://evil.test/' }],
		['of no issuer', { iss: undefined }],
		['for another audience', { aud: 'someone-else' }],
		['for no audience', { aud: undefined }],
		['that begins in the future', { nbf: 1_750_000_031 }],
		['issued in the future', { iat: 1_750_000_031 }],
		['without an end', { exp: undefined }],
		['without a beginning', { iat: undefined }],
		['with an end that is a text', { exp: '9999999999' }],
		['without a tenant', { tenant: undefined }],
		['with a tenant that is none', { tenant: '../acme' }],
		['with a tenant that is a list', { tenant: ['acme'] }],
		['with a user that is none', { sub: '' }],
		['with an endless user', { sub: 'x'.repeat(513) }],
	])('%s is refused in the same words as every other', async (_, change) => {
		const { show, now } = verifierOf([known([ours])]);
		expect(await show(await sign(ours, now(), change))).toBe(INVALID);
	});

	test('that is forged, unsigned, cut or no token is refused in the same words', async () => {
		const { show, now } = verifierOf([known([ours])]);
		const good = await sign(ours, now());
		const [head = '', body = '', signature = ''] = good.split('.');
		const claims = JSON.parse(Buffer.from(body, 'base64url').toString());
		const forged = await sign({ ...other, kid: 'one' }, now());
		const richer = part({ ...claims, scope: 'invoke read' });
		const tokens = [
			forged,
			await sign(other, now()),
			`${head}.${richer}.${signature}`,
			`${head}.${body}.`,
			`${head}.${body}`,
			`${head}.${body}.${signature}.x`,
			new UnsecuredJWT(claims).encode(),
			`${part({ alg: 'none' })}.${body}.${signature}`,
			`${part({ alg: 'nOnE', kid: 'one' })}.${body}.`,
			`${part({ alg: 'ES256', kid: 'one', crit: ['b64'], b64: false })}.${body}.${signature}`,
			`${part({ alg: 'ES256', jwk: other.jwk })}.${body}.${(await sign(other, now())).split('.')[2]}`,
			'..',
			'a.b.c',
			'.',
			`${head}.${part([])}.${signature}`,
			`${part(null)}.${body}.${signature}`,
		];
		for (const token of tokens) expect(await show(token)).toBe(INVALID);
		expect(await show(good)).toMatchObject({ tenantId: 'acme' });
	});

	test('signed with the public key as if it were a shared secret is refused', async () => {
		const { show, now } = verifierOf([known([rsa], { algorithms: ['RS256'] })]);
		const pem = createPublicKey({ key: rsa.jwk as JsonWebKey, format: 'jwk' }).export({ type: 'spki', format: 'pem' });
		const body = (await sign(rsa, now())).split('.')[1];
		for (const secret of [pem.toString(), pem.toString().trim(), JSON.stringify(rsa.jwk)]) {
			const signed = `${part({ alg: 'HS256', kid: 'rsa' })}.${body}`;
			const token = `${signed}.${createHmac('sha256', secret).update(signed).digest('base64url')}`;
			expect(await show(token)).toBe(INVALID);
		}
	});

	test('with an algorithm that the key could do but the issuer does not name is refused', async () => {
		const { show, now } = verifierOf([known([rsa], { algorithms: ['PS256'] })]);
		expect(await show(await sign(rsa, now()))).toBe(INVALID);
	});

	test('of an issuer with a shared secret is checked with it, and by its algorithm alone', async () => {
		const secret = 'correct-horse-battery-staple-and-more';
		const config = issuerConfig({ algorithms: ['HS256'], keys: { kind: 'secret', secret } });
		const { show, now } = verifierOf([config]);
		const signed = (key: string, alg: string) =>
			new SignJWT({ iss: config.issuer, aud: 'plimsoll', tenant: 'acme', iat: now(), exp: now() + 60 })
				.setProtectedHeader({ alg })
				.sign(new TextEncoder().encode(key));
		expect(await show(await signed(secret, 'HS256'))).toMatchObject({ tenantId: 'acme', user: null, scopes: [] });
		expect(await show(await signed(`${secret}!`, 'HS256'))).toBe(INVALID);
		expect(await show(await signed(secret.repeat(2), 'HS512'))).toBe(INVALID);
		expect(await show(await sign(ours, now()))).toBe(INVALID);
	});

	test('of more than 8192 characters is refused unread', async () => {
		const { show, now } = verifierOf([known([ours])]);
		expect(await show(await sign(ours, now(), { pad: 'x'.repeat(8192) }))).toBe(INVALID);
	});

	test('without a kid is tried with each key of a set', async () => {
		const { show, now } = verifierOf([known([other, ours])]);
		const token = (pair: SigningPair, change: object) =>
			new SignJWT({
				iss: 'https://issuer.test/',
				aud: 'plimsoll',
				tenant: 'acme',
				iat: now(),
				exp: now() + 9,
				...change,
			})
				.setProtectedHeader({ alg: 'ES256' })
				.sign(pair.privateKey);
		expect(await show(await token(ours, {}))).toMatchObject({ tenantId: 'acme' });
		expect(await show(await token(ours, { exp: now() - 31 }))).toBe(EXPIRED);
		expect(await show(await token(await signingPair('three'), {}))).toBe(INVALID);
	});

	test('that is genuine is said to be expired, one that is forged is not', async () => {
		const { show, now } = verifierOf([known([ours])]);
		const past = { iat: now() - 100, exp: now() - 30 };
		expect(await show(await sign(ours, now(), past))).toBe(EXPIRED);
		expect(await show(await sign({ ...other, kid: 'one' }, now(), past))).toBe(INVALID);
		expect(await show(await sign(ours, now(), { ...past, aud: 'someone-else' }))).toBe(INVALID);
		expect(await show(await sign(ours, now(), { iat: now() - 3631, exp: now() + 99_999 }))).toBe(EXPIRED);
	});

	test('expires at the same instant whether it was seen before or not', async () => {
		const life = fc.record({
			exp: fc.integer({ min: -200, max: 400 }).map((halves) => halves / 2),
			age: fc.integer({ min: -80, max: 400 }).map((halves) => halves / 2),
			skew: fc.integer({ min: 0, max: 60 }),
			seenAfter: fc.integer({ min: 0, max: 100 }),
			againAfter: fc.integer({ min: 0, max: 200 }),
		});
		await fc.assert(
			fc.asyncProperty(life, async ({ exp, age, skew, seenAfter, againAfter }) => {
				const config = known([ours], { clockSkewS: skew, ageMaxS: 120 });
				const clock = new VirtualClock();
				const [seen, fresh] = [verifierOf([config], clock), verifierOf([config], clock)];
				const token = await sign(ours, seen.now(), { iat: seen.now() - age, exp: seen.now() + exp });
				await clock.advance(seenAfter * 1000);
				await seen.show(token);
				await clock.advance(againAfter * 1000 + 7);
				const shown = [await seen.show(token), await fresh.show(token)];
				expect(shown[0]).toEqual(shown[1]);
			}),
			{ numRuns: 300 },
		);
	});

	test.each([
		['its end', { exp: 40 }, 70_000],
		['its age', { exp: 9999 }, 151_000],
		['an end between two seconds', { exp: 40.5 }, 71_000],
	])('that was accepted ends with %s: in the same millisecond as one that was not seen', async (_, { exp }, ends) => {
		const config = known([ours], { ageMaxS: 120 });
		const clock = new VirtualClock();
		const [seen, fresh] = [verifierOf([config], clock), verifierOf([config], clock)];
		const token = await sign(ours, seen.now(), { exp: seen.now() + exp });
		await seen.show(token);
		await clock.advance(ends - 1);
		expect(await fresh.show(token)).toMatchObject({ tenantId: 'acme' });
		expect(await seen.show(token)).toMatchObject({ tenantId: 'acme' });
		await clock.advance(1);
		expect(await seen.show(token)).toBe(EXPIRED);
		expect(await verifierOf([config], clock).show(token)).toBe(EXPIRED);
	});

	test('never gives a scope, a tenant or a feature that the issuer may not give, whatever it claims', async () => {
		const config = known([ours], {
			tenantsAllowed: ['acme', 'beta'],
			featuresAllowed: ['ask-docs', 'greet'],
			claims: {
				tenant: 'org.id',
				user: 'sub',
				scopes: 'roles',
				features: 'features',
				groups: null,
				scopePrefix: 'plimsoll:',
			},
		});
		const { show, now } = verifierOf([config]);
		const word = fc.constantFrom('plimsoll:invoke', 'plimsoll:admin', 'invoke', 'plimsoll:read', '', 'ask-docs', 'x');
		const words = fc.oneof(
			fc.array(word),
			fc.array(word).map((all) => all.join(' ')),
			fc.jsonValue(),
		);
		const tenant = fc.oneof(fc.constantFrom('acme', 'beta', 'gamma'), fc.jsonValue());
		await fc.assert(
			fc.asyncProperty(words, words, tenant, async (roles, features, id) => {
				const caller = await show(await sign(ours, now(), { roles, features, org: { id } }));
				if (typeof caller === 'string') {
					expect(caller).toBe(INVALID);
					return;
				}
				expect(['acme', 'beta']).toContain(caller.tenantId);
				for (const scope of caller.scopes) {
					expect(['invoke', 'read']).toContain(scope);
					expect(JSON.stringify(roles)).toContain(`plimsoll:${scope}`);
				}
				for (const feature of caller.features ?? ['everything']) expect(['ask-docs', 'greet']).toContain(feature);
			}),
			{ numRuns: 60 },
		);
	});
});

describe('an issuer’s address', () => {
	async function remote() {
		const issuer = await startIssuer([ours.jwk]);
		return { issuer, ...verifierOf([issuerConfig({ keys: { kind: 'jwks', url: issuer.url } })]) };
	}

	test('is asked once for many tokens, also when they come at once', async () => {
		const { issuer, show, now } = await remote();
		const tokens = await Promise.all(Array.from({ length: 20 }, (_, n) => sign(ours, now(), { sub: `u${n}` })));
		const shown = await Promise.all(tokens.map(show));
		expect(shown.every((one) => typeof one === 'object')).toBe(true);
		expect(issuer.calls).toBe(1);
	});

	test('is asked before the first token where the server prepares for it', async () => {
		const { issuer, verifier, show, now } = await remote();
		const asked = issuer.nextCall();
		verifier.prepare();
		await asked;
		expect(await show(await sign(ours, now()))).toMatchObject({ tenantId: 'acme' });
		expect(issuer.calls).toBe(1);
	});

	test('is not asked for a token of another algorithm, and a verified token answers without a promise', async () => {
		const { issuer, verifier, show, now } = await remote();
		expect(await show(`${part({ alg: 'none' })}.${part({ iss: 'https://issuer.test/' })}.`)).toBe(INVALID);
		expect(issuer.calls).toBe(0);
		const token = await sign(ours, now());
		await show(token);
		await show(token);
		expect(verifier.authenticate(token)).toMatchObject({ tenantId: 'acme' });
	});

	test('is asked again for an unknown kid, but not more often than every 30 seconds', async () => {
		const { issuer, show, now, clock } = await remote();
		await show(await sign(ours, now()));
		issuer.answer = serving([ours.jwk, other.jwk]);
		const rolled = await sign(other, now());
		expect(await show(rolled)).toBe(INVALID);
		await clock.advance(30_000);
		expect(await show(rolled)).toMatchObject({ tenantId: 'acme' });
		expect(issuer.calls).toBe(2);
		for (let n = 0; n < 50; n++) await show(await sign({ ...other, kid: `made-up-${n}` }, now()));
		expect(issuer.calls).toBe(2);
	});

	test('is looked at again after ten minutes while requests go on, and a withdrawn key then counts no more', async () => {
		const { issuer, show, now, clock } = await remote();
		const token = await sign(ours, now(), { exp: now() + 3000 });
		await show(token);
		issuer.answer = serving([other.jwk]);
		await clock.advance(600_000);
		const asked = issuer.nextCall();
		expect(await show(token)).toMatchObject({ tenantId: 'acme' });
		await asked;
		await expect.poll(() => show(token)).toBe(INVALID);
	});

	test('may be away for a day: its keys serve on, then nothing is accepted until it is back', async () => {
		const { issuer, show, now, clock, warnings } = await remote();
		await show(await sign(ours, now()));
		issuer.answer = (reply) => reply.writeHead(500).end('{}');
		await clock.advance(86_399_000);
		expect(await show(await sign(ours, now()))).toMatchObject({ tenantId: 'acme' });
		await expect.poll(() => warnings.length).toBe(1);
		await clock.advance(30_000);
		expect(await show(await sign(ours, now()))).toMatch(/^identity_unavailable/);
		issuer.answer = serving([ours.jwk]);
		await clock.advance(5_000);
		expect(await show(await sign(ours, now()))).toMatchObject({ tenantId: 'acme' });
	});

	test.each([
		['a page', (text: (body: string) => void) => text('<html>')],
		['no keys', (text: (body: string) => void) => text('{"keys":"none"}')],
		['too much', (text: (body: string) => void) => text(`{"keys":[],"pad":"${'x'.repeat(300_000)}"}`)],
		['too many keys', (text: (body: string) => void) => text(JSON.stringify({ keys: Array(101).fill({ kty: 'EC' }) }))],
	])('that answers with %s makes tokens wait, not invalid, and says why in the log', async (_, say) => {
		const { issuer, show, now, warnings } = await remote();
		issuer.answer = (reply) => say((body) => reply.end(body));
		expect(await show(await sign(ours, now()))).toBe(
			'identity_unavailable: The token cannot be checked at the moment.',
		);
		expect(warnings).toEqual([expect.stringContaining(issuer.url)]);
	});

	test('that redirects is not followed', async () => {
		const { issuer, show, now } = await remote();
		const elsewhere = await startIssuer([ours.jwk]);
		issuer.answer = (reply) => reply.writeHead(302, { location: elsewhere.url }).end();
		expect(await show(await sign(ours, now()))).toMatch(/^identity_unavailable/);
		expect(elsewhere.calls).toBe(0);
	});

	test('that does not answer is given up after five seconds, by no more than 64 waiting requests', async () => {
		const { issuer, show, now, clock } = await remote();
		issuer.answer = () => {};
		const tokens = await Promise.all(Array.from({ length: 70 }, (_, n) => sign(ours, now(), { sub: `u${n}` })));
		const asked = issuer.nextCall();
		const settled: (Caller | string)[] = [];
		const all = tokens.map((token) => show(token).then((one) => settled.push(one)));
		await asked;
		await expect.poll(() => settled.length).toBe(6);
		await clock.advance(5_000);
		await Promise.all(all);
		expect(settled.every((one) => String(one).startsWith('identity_unavailable'))).toBe(true);
		expect(issuer.calls).toBe(1);
	});

	test('is kept with its keys over a reload; other issuers are in force at once', async () => {
		const { issuer, verifier, show, now } = await remote();
		const token = await sign(ours, now());
		await show(token);
		const keys = { kind: 'jwks', url: issuer.url } as const;
		verifier.update([issuerConfig({ keys, tenant: 'fixed' })]);
		expect(await show(token)).toMatchObject({ tenantId: 'fixed' });
		expect(issuer.calls).toBe(1);
		verifier.update([]);
		expect(await show(token)).toBe(INVALID);
	});
});
