import fc from 'fast-check';
import { expect, test } from 'vitest';
import { mayCall, requireFeature, requireScope, requireSearch } from '../../src/policy/access.ts';
import type { Caller } from '../../src/spec/identity.ts';
import { SCOPES } from '../../src/spec/records.ts';

const name = fc.oneof(fc.constantFrom('ask', 'greet', 'local/extractive'), fc.string());
const callers: fc.Arbitrary<Caller> = fc.record({
	kind: fc.constantFrom('key' as const, 'token' as const),
	tenantId: fc.constant('acme'),
	keyId: fc.constant('k'),
	keyName: fc.constant('web'),
	scopes: fc.subarray([...SCOPES]),
	features: fc.option(fc.array(name)),
	user: fc.constant(null),
	groups: fc.constant([]),
});

function codeOf(run: () => void): string | null {
	try {
		run();
		return null;
	} catch (thrown) {
		return (thrown as { code: string }).code;
	}
}

test('what a caller does not have by name, it may not', () => {
	fc.assert(
		fc.property(callers, fc.constantFrom(...SCOPES), name, (caller, scope, feature) => {
			expect(codeOf(() => requireScope(caller, scope))).toBe(caller.scopes.includes(scope) ? null : 'scope_missing');
			const allowed = caller.features === null || caller.features.includes(feature);
			expect(codeOf(() => requireFeature(caller, feature))).toBe(allowed ? null : 'feature_not_allowed');
			expect(mayCall(caller, feature)).toBe(allowed);
			expect(codeOf(() => requireSearch(caller))).toBe(caller.features === null ? null : 'feature_not_allowed');
		}),
	);
});
