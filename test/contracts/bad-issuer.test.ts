import { generateKeyPairSync } from 'node:crypto';
import { expect, test } from 'vitest';
import { loadProject } from '../../src/app/load-project.ts';
import { formatProblem } from '../../src/spec/problem.ts';
import { projectFolder } from '../support/project-folder.ts';

const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const small = generateKeyPairSync('rsa', { modulusLength: 1024 });
const PUBLIC = ec.publicKey.export({ type: 'spki', format: 'pem' }).toString();
const PRIVATE = ec.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
const SECRET = 'a-secret-of-more-than-thirty-two-characters';

const FULL = `identity:
  jwt:
    staff:
      keys: jwks
      jwks_url: https://issuer.test/jwks
      issuer: https://issuer.test/
      audience: plimsoll
      algorithms: [ES256]
    partner:
      keys: file
      public_keys: {file: keys.pem}
      issuer: https://partner.test/
      audience: plimsoll
      algorithms: [ES256, RS256]
    backend:
      keys: secret
      hmac_secret: {env: JWT_SECRET}
      issuer: backend
      audience: plimsoll
`;

async function load(text: string, keys = PUBLIC, secret = SECRET) {
	return loadProject(await projectFolder({ 'plimsoll.yaml': text, 'keys.pem': keys }), { JWT_SECRET: secret });
}

const problemsOf = async (...from: Parameters<typeof load>) => (await load(...from)).problems.map(formatProblem);

test('issuers with an address, a file and a secret are read; a PEM becomes a key set', async () => {
	const { value, problems } = await load(FULL);
	expect(problems).toEqual([]);
	expect(value?.config.identity.jwt.map(({ name, keys }) => [name, keys.kind])).toEqual([
		['staff', 'jwks'],
		['partner', 'file'],
		['backend', 'secret'],
	]);
	expect(value?.config.identity.jwt[1]?.keys).toEqual({
		kind: 'file',
		set: { keys: [ec.publicKey.export({ format: 'jwk' })] },
	});
	expect(value?.config.identity.jwt[0]).toMatchObject({ scopesAllowed: ['invoke'], tenant: null, clockSkewS: 30 });
});

test.each([
	['no algorithm', 'algorithms: [ES256]', 'algorithms: []', 'staff.algorithms'],
	['alg none', 'algorithms: [ES256]', 'algorithms: [none]', 'staff.algorithms[0]'],
	[
		'a symmetric algorithm beside a public key',
		'algorithms: [ES256, RS256]',
		'algorithms: [HS256]',
		'partner.algorithms[0]',
	],
	['an address without TLS', 'https://issuer.test/jwks', 'http://issuer.test/jwks', 'staff.jwks_url'],
	['an address with credentials', 'https://issuer.test/jwks', 'https://a:b@issuer.test/jwks', 'staff.jwks_url'],
	['an address that is none', 'https://issuer.test/jwks', 'file:///etc/passwd', 'staff.jwks_url'],
	['a secret in the file', '{env: JWT_SECRET}', SECRET, 'backend.hmac_secret'],
	['a secret that is not set', 'JWT_SECRET', 'JWT_SECRET_2', 'JWT_SECRET_2 is not set'],
	['a key file that is not there', 'keys.pem', 'gone.pem', 'gone.pem does not exist'],
	['an issuer twice', 'issuer: backend', 'issuer: https://issuer.test/', 'is the issuer of staff too'],
	[
		'no audience',
		'      audience: plimsoll\n      algorithms: [ES256]\n',
		'      algorithms: [ES256]\n',
		'staff.audience',
	],
	['a secret beside an address', 'jwks_url:', 'hmac_secret: {env: JWT_SECRET}\n      jwks_url:', 'staff.hmac_secret'],
	['an absurd clock', 'issuer: backend', 'issuer: backend\n      clock_skew_s: 1e9', 'backend.clock_skew_s'],
	['a negative age', 'issuer: backend', 'issuer: backend\n      age_max_s: -1', 'backend.age_max_s'],
])('%s is refused where it stands', async (_, from, to, where) => {
	const problems = await problemsOf(FULL.replace(from, to));
	expect(problems.join('\n')).toContain(where);
	expect(problems.join('\n')).not.toContain(SECRET);
});

test.each([
	['a private key', PRIVATE, 'holds a private key'],
	['a private JWK', JSON.stringify(ec.privateKey.export({ format: 'jwk' })), 'holds a private key'],
	['a shared secret', '{"kty":"oct","k":"c2VjcmV0"}', 'holds a shared secret'],
	['a small RSA key', small.publicKey.export({ type: 'spki', format: 'pem' }).toString(), '2048 are the least'],
	['an empty set', '{"keys":[]}', 'holds no public key'],
	['JSON of another kind', '{"a":1}', 'neither a JWK nor a JWK set'],
	['broken JSON', '{"keys":[', 'no public key in PEM or JWK form'],
	['a text', 'hello', 'holds no public key'],
])('a key file with %s is refused, and its content is not shown', async (_, keys, why) => {
	const problems = await problemsOf(FULL, keys);
	expect(problems).toEqual([expect.stringContaining(why)]);
	expect(problems.join()).not.toContain(keys.slice(0, 40));
});

test('a short secret is refused, and not shown', async () => {
	const problems = await problemsOf(FULL, PUBLIC, 'hunter2-hunter2');
	expect(problems).toEqual([expect.stringContaining('at least 32 random characters')]);
	expect(problems.join()).not.toContain('hunter2');
});

test('a secret of sessions that stands in the file or is too short is refused, and no message repeats it', async () => {
	const short = 'hunter2';
	expect(await problemsOf('identity: {session_secret: {env: JWT_SECRET}}\n')).toEqual([]);
	const [brief = ''] = await problemsOf('identity: {session_secret: {env: JWT_SECRET}}\n', PUBLIC, short);
	expect(brief).toMatch(/identity\.session_secret: is too short to keep/);
	const [written = ''] = await problemsOf(`identity: {session_secret: ${SECRET}}\n`);
	expect(written).toMatch(/identity\.session_secret: holds the secret itself/);
	expect(brief + written).not.toMatch(new RegExp(`${short}|${SECRET}`));
});
