import type { IssuerConfig } from '../contracts/project.ts';
import type { Caller } from '../spec/identity.ts';
import { SCOPES, type Scope } from '../spec/records.ts';

type Claims = Readonly<Record<string, unknown>>;

const TENANT = /^[a-z0-9][a-z0-9._-]{0,62}$/;
const USER_CHARS_MAX = 512;
const WORDS_MAX = 1_000;
/** More groups make every search slow; who has more finds what the first of them may. */
const GROUPS_MAX = 500;
const GROUP_CHARS_MAX = 512;

/** What stands for a key where a token came: one name for all tokens of an issuer. */
export function issuerKeyId(issuer: string): string {
	return `jwt:${issuer}`;
}

/** The caller that a verified token describes; null when its claims are not what the issuer is configured to say. */
export function callerFrom(claims: Claims, issuer: IssuerConfig): Caller | null {
	const tenantId = tenantOf(claims, issuer);
	const user = claimAt(claims, issuer.claims.user);
	if (tenantId === null) return null;
	if (user !== undefined && (typeof user !== 'string' || user === '' || user.length > USER_CHARS_MAX)) return null;
	return Object.freeze({
		kind: 'token',
		tenantId,
		keyId: issuerKeyId(issuer.name),
		keyName: null,
		scopes: scopesOf(claims, issuer),
		features: featuresOf(claims, issuer),
		user: user ?? null,
		groups: issuer.claims.groups === null ? [] : groupsOf(claimAt(claims, issuer.claims.groups)),
	});
}

function tenantOf(claims: Claims, { tenant, tenantsAllowed, claims: names }: IssuerConfig): string | null {
	if (tenant !== null) return tenant;
	const named = claimAt(claims, names.tenant);
	if (typeof named !== 'string' || !TENANT.test(named)) return null;
	return tenantsAllowed === null || tenantsAllowed.includes(named) ? named : null;
}

function scopesOf(claims: Claims, { scopesAllowed, claims: names }: IssuerConfig): readonly Scope[] {
	const words = new Set(wordsOf(claimAt(claims, names.scopes)));
	return SCOPES.filter((scope) => scopesAllowed.includes(scope) && words.has(`${names.scopePrefix}${scope}`));
}

/** Both lists hold: what the issuer may allow, and what the token says. */
function featuresOf(claims: Claims, { featuresAllowed, claims: names }: IssuerConfig): readonly string[] | null {
	if (names.features === null) return featuresAllowed;
	const named = wordsOf(claimAt(claims, names.features));
	return featuresAllowed === null ? named : named.filter((feature) => featuresAllowed.includes(feature));
}

/** Names may have spaces, so that a text is one group. */
function groupsOf(value: unknown): readonly string[] {
	const named = typeof value === 'string' ? [value] : Array.isArray(value) ? value : [];
	return named
		.filter((name) => typeof name === 'string' && name !== '' && name.length <= GROUP_CHARS_MAX)
		.slice(0, GROUPS_MAX);
}

/** Words of a text or of a list; none for anything else. */
function wordsOf(value: unknown): readonly string[] {
	const words = typeof value === 'string' ? value.split(' ') : Array.isArray(value) ? value : [];
	return words.slice(0, WORDS_MAX).filter((word) => typeof word === 'string' && word !== '');
}

/** A claim by its whole name, which may hold dots; else by its path. */
function claimAt(claims: Claims, name: string): unknown {
	if (Object.hasOwn(claims, name)) return claims[name];
	let value: unknown = claims;
	for (const part of name.split('.')) {
		if (typeof value !== 'object' || value === null || !Object.hasOwn(value, part)) return undefined;
		value = (value as Claims)[part];
	}
	return value;
}
