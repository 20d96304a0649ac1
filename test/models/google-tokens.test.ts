import { exportPKCS8, generateKeyPair, jwtVerify } from 'jose';
import { expect, onTestFinished, test } from 'vitest';
import { VirtualClock } from '../../src/base/virtual-clock.ts';
import { GoogleTokens } from '../../src/models/ai-sdk/google-tokens.ts';
import { tokenPlace } from '../support/token-place.ts';

function tokensOf(options: Omit<ConstructorParameters<typeof GoogleTokens>[0], 'upstream'>): GoogleTokens {
	const tokens = new GoogleTokens({ upstream: 'vertex/default', ...options });
	onTestFinished(() => tokens.close());
	return tokens;
}

test('a service account signs for a token, which is kept until shortly before it ends', async () => {
	const { asked, url } = await tokenPlace();
	const { publicKey, privateKey } = await generateKeyPair('RS256', { extractable: true });
	const account = { client_email: 'me@p.test', private_key: await exportPKCS8(privateKey), token_uri: url };
	const clock = new VirtualClock();
	const tokens = tokensOf({ credentials: JSON.stringify(account), clock });
	// Whoever comes while one is asked for waits for the same.
	expect(await Promise.all([tokens.token(), tokens.token()])).toEqual(['token-1', 'token-1']);
	const sent = new URLSearchParams(asked[0]?.body);
	expect(sent.get('grant_type')).toBe('urn:ietf:params:oauth:grant-type:jwt-bearer');
	const { payload } = await jwtVerify(sent.get('assertion') ?? '', publicKey, {
		issuer: 'me@p.test',
		audience: url,
		currentDate: new Date(clock.now()),
	});
	expect(payload).toMatchObject({ scope: 'https://www.googleapis.com/auth/cloud-platform' });
	await clock.advance(3_299_000);
	expect(await tokens.token()).toBe('token-1');
	await clock.advance(1000);
	expect(await tokens.token()).toBe('token-2');
	expect(asked).toHaveLength(2);
	expect(clock.pending).toBe(0);
});

test('a machine on Google Cloud asks its metadata server', async () => {
	const { asked, url } = await tokenPlace();
	const tokens = tokensOf({ credentials: null, clock: new VirtualClock(), metadataUrl: url });
	expect(await tokens.token()).toBe('token-1');
	expect(asked).toMatchObject([{ method: 'GET', flavor: 'Google' }]);
});

test.each([
	[{ status: 401, body: { error: 'invalid_grant' } }, 'authentication'],
	[{ status: 503 }, 'server_error'],
	[{ body: { token: 'x' } }, 'connect'],
])('a token that is not given fails the attempt, and not for ever: %j', async (answer, kind) => {
	const { asked, url } = await tokenPlace(answer);
	const tokens = tokensOf({ credentials: null, clock: new VirtualClock(), metadataUrl: url });
	for (const times of [1, 2]) {
		await expect(tokens.token()).rejects.toMatchObject({ kind, upstream: 'vertex/default', sent: false });
		expect(asked).toHaveLength(times);
	}
});
