import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { exportJWK, generateKeyPair, type JWK, SignJWT } from 'jose';
import { onTestFinished } from 'vitest';
import type { IssuerConfig } from '../../src/contracts/project.ts';

export interface SigningPair {
	readonly kid: string;
	readonly alg: string;
	readonly privateKey: Awaited<ReturnType<typeof generateKeyPair>>['privateKey'];
	readonly jwk: JWK & { readonly kty: string };
}

export async function signingPair(kid: string, alg = 'ES256'): Promise<SigningPair> {
	const { privateKey, publicKey } = await generateKeyPair(alg);
	const jwk = await exportJWK(publicKey);
	return { kid, alg, privateKey, jwk: { ...jwk, kty: String(jwk.kty), kid, alg, use: 'sig' } };
}

/** A token that is right in every way for `issuerConfig`, but for what a test changes. Times in seconds. */
export function sign(pair: SigningPair, now: number, change: Readonly<Record<string, unknown>> = {}): Promise<string> {
	const claims = {
		iss: 'https://issuer.test/',
		aud: 'plimsoll',
		sub: 'ann',
		tenant: 'acme',
		scope: 'openid invoke',
		iat: now,
		exp: now + 600,
		...change,
	};
	return new SignJWT(claims).setProtectedHeader({ alg: pair.alg, kid: pair.kid }).sign(pair.privateKey);
}

export function issuerConfig(change: Partial<IssuerConfig> = {}): IssuerConfig {
	return {
		name: 'staff',
		issuer: 'https://issuer.test/',
		audience: 'plimsoll',
		algorithms: ['ES256'],
		keys: { kind: 'jwks', url: 'http://127.0.0.1:9/jwks' },
		tenant: null,
		tenantsAllowed: null,
		scopesAllowed: ['invoke', 'read'],
		featuresAllowed: null,
		claims: { tenant: 'tenant', user: 'sub', scopes: 'scope', features: null, groups: null, scopePrefix: '' },
		clockSkewS: 30,
		ageMaxS: 3600,
		...change,
	};
}

export interface IssuerDouble {
	readonly url: string;
	/** How often the keys were asked for. */
	readonly calls: number;
	/** What it says from now on. */
	answer: (reply: ServerResponse) => void;
	/** Resolves with the next call. */
	nextCall(): Promise<unknown>;
}

/** An issuer's key address on this machine, until the test ends. */
export async function startIssuer(keys: readonly JWK[]): Promise<IssuerDouble> {
	let calls = 0;
	const server = createServer((_request, reply) => {
		calls++;
		double.answer(reply);
	});
	server.listen(0, '127.0.0.1');
	await once(server, 'listening');
	onTestFinished(() => {
		server.closeAllConnections();
		server.close();
	});
	const double: IssuerDouble = {
		url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/jwks`,
		get calls() {
			return calls;
		},
		answer: serving(keys),
		nextCall: () => once(server, 'request'),
	};
	return double;
}

export function serving(keys: readonly JWK[]): (reply: ServerResponse) => void {
	return (reply) => {
		reply.setHeader('content-type', 'application/json');
		reply.end(JSON.stringify({ keys }));
	};
}
