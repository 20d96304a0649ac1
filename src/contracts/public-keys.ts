import { createPublicKey, type JsonWebKey, type KeyObject } from 'node:crypto';
import * as z from 'zod';

const RSA_BITS_MIN = 2048;
const KEYS_MAX = 100;

const jwk = z.looseObject({ kty: z.string() });
const keyFile = z.union([
	z.object({ keys: z.array(jwk) }).transform(({ keys }) => keys),
	jwk.transform((key) => [key]),
]);

export interface PublicKeySet {
	readonly keys: readonly JsonWebKey[];
}

/** Public keys of a file: PEM blocks, one JWK or a JWK set. A text says what is wrong with it, never what it holds. */
export function readPublicKeys(text: string): PublicKeySet | string {
	// A private key where a public one belongs would also lie about in backups of the configuration.
	if (/PRIVATE KEY-----/.test(text)) return 'holds a private key; only the public one belongs here';
	try {
		const keys = text.trimStart().startsWith('{') ? jsonKeys(text) : pemKeys(text);
		if (typeof keys === 'string') return keys;
		if (keys.length === 0) return 'holds no public key';
		return keys.length > KEYS_MAX ? `holds more than ${KEYS_MAX} keys` : { keys };
	} catch {
		// The parser's own words may quote the text.
		return 'holds something that is no public key in PEM or JWK form';
	}
}

function jsonKeys(text: string): JsonWebKey[] | string {
	const parsed = keyFile.safeParse(JSON.parse(text));
	if (!parsed.success) return 'holds JSON that is neither a JWK nor a JWK set';
	for (const key of parsed.data) {
		if (key.kty === 'oct') return 'holds a shared secret; a secret belongs under hmac_secret, with keys: secret';
		if ('d' in key) return 'holds a private key; only the public one belongs here';
		const weak = weakness(createPublicKey({ key, format: 'jwk' }));
		if (weak) return weak;
	}
	return parsed.data;
}

function pemKeys(text: string): JsonWebKey[] | string {
	const blocks = text.match(/-----BEGIN ([A-Z ]+)-----[\s\S]*?-----END \1-----/g) ?? [];
	const keys = blocks.map((block) => createPublicKey(block));
	const weak = keys.map(weakness).find((why) => why !== null);
	return weak ?? keys.map((key) => key.export({ format: 'jwk' }));
}

function weakness(key: KeyObject): string | null {
	const bits = key.asymmetricKeyDetails?.modulusLength;
	return bits !== undefined && bits < RSA_BITS_MIN
		? `holds an RSA key of ${bits} bits; ${RSA_BITS_MIN} are the least`
		: null;
}
