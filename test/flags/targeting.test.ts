import { expect, test } from 'vitest';
import { resolveFlag } from '../../src/flags/targeting.ts';
import { FLAG_SECRET, flagsOf } from '../support/flag-fixture.ts';

const RULES = `
flags:
  tone:
    variants: {plain: plain, warm: warm, formal: formal}
    default_variant: plain
    rules:
      - name: shops
        when: {tenant: [acme, globex], key_name: [web-shop]}
        unless: {user_hash: ["v1:ada"]}
        variant: warm
      - when: {caller: [token]}
        variant: formal
      - when: {feature: [greet]}
        split: {by: tenant, percent: {warm: 50, formal: 50}}
`;

function resolve(attributes: Record<string, unknown>, text = RULES) {
	const flag = flagsOf(text).get('tone');
	if (!flag) throw new Error('no flag');
	return resolveFlag(flag, { userUnit: 'u', tenantUnit: String(attributes.tenant), attributes }, FLAG_SECRET);
}

test('the first rule of which every condition holds decides', () => {
	expect(resolve({ tenant: 'globex', key_name: 'web-shop', caller: 'token' })).toMatchObject({
		variant: 'warm',
		reason: 'TARGETING_MATCH',
		rule: { name: 'shops' },
	});
	expect(resolve({ tenant: 'globex', caller: 'token' })).toMatchObject({ variant: 'formal', rule: { name: 'rule 2' } });
});

test('whoever unless names is left to the rules below', () => {
	expect(resolve({ tenant: 'acme', key_name: 'web-shop', user_hash: 'v1:ada' })).toMatchObject({
		variant: 'plain',
		reason: 'DEFAULT',
		rule: null,
	});
});

test('a split by tenant gives all users of a tenant the same', () => {
	const flag = flagsOf(RULES).get('tone');
	if (!flag) throw new Error('no flag');
	const drawn = (tenant: string, userUnit: string) =>
		resolveFlag(flag, { userUnit, tenantUnit: tenant, attributes: { tenant, feature: 'greet' } }, FLAG_SECRET);
	const tenants = Array.from({ length: 40 }, (_, n) => `tenant-${n}`);
	for (const tenant of tenants) expect(drawn(tenant, 'a')).toEqual(drawn(tenant, 'b'));
	expect(new Set(tenants.map((tenant) => drawn(tenant, 'a').variant))).toEqual(new Set(['warm', 'formal']));
});

test('a disabled flag looks at no rule', () => {
	const disabled = RULES.replace('    variants', '    state: disabled\n    variants');
	expect(resolve({ caller: 'token' }, disabled)).toMatchObject({ variant: 'plain', reason: 'DISABLED', rule: null });
});

test('what is not known fits no condition', () => {
	expect(resolve({})).toMatchObject({ variant: 'plain', reason: 'DEFAULT' });
});
