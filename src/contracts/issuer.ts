import type { RawIssuer } from './identity-schema.ts';
import type { IssuerConfig } from './project.ts';
import { readPublicKeys } from './public-keys.ts';

/** An issuer as the runtime wants it. */
export function issuerOf(name: string, raw: RawIssuer): IssuerConfig {
	return {
		name,
		issuer: raw.issuer,
		audience: raw.audience,
		algorithms: raw.algorithms,
		keys: keysOf(raw),
		tenant: raw.tenant,
		tenantsAllowed: raw.tenants_allowed,
		scopesAllowed: raw.scopes_allowed,
		featuresAllowed: raw.features_allowed,
		claims: {
			tenant: raw.claims.tenant,
			user: raw.claims.user,
			scopes: raw.claims.scopes,
			features: raw.claims.features,
			groups: raw.claims.groups,
			scopePrefix: raw.claims.scope_prefix,
		},
		clockSkewS: raw.clock_skew_s,
		ageMaxS: raw.age_max_s,
	};
}

function keysOf(raw: RawIssuer): IssuerConfig['keys'] {
	switch (raw.keys) {
		case 'jwks':
			return { kind: 'jwks', url: raw.jwks_url };
		case 'secret':
			return { kind: 'secret', secret: raw.hmac_secret };
		case 'file': {
			const set = readPublicKeys(raw.public_keys);
			if (typeof set === 'string')
				throw new RangeError(`the public keys of ${raw.issuer} passed the checks, but ${set}`);
			return { kind: 'file', set };
		}
	}
}
