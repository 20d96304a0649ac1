import type { PassageAccess } from '../contracts/access-schema.ts';
import type { Filter, Reader } from '../spec/retrieval.ts';

/** What stands before a user in a list of readers, so that no group can be taken for one. */
const USER_LABEL = 'user:';

/**
 * What a caller may find, as a predicate inside every query: passages of its tenant, whose readers name it, a group of
 * its, or everyone. A document that does not say whose it is, or who may read it, is found by nobody.
 */
export function accessFilter(access: PassageAccess, { tenantId, user, groups }: Reader): Filter {
	const { tenantField, sharedTenant, readersField, everyone } = access;
	const all: Filter[] = [];
	if (tenantField !== null) {
		const tenants = sharedTenant === null ? [tenantId] : [tenantId, sharedTenant];
		all.push({ field: tenantField, is: 'one_of', values: tenants });
	}
	if (readersField !== null) {
		const own = user === null ? [] : [`${USER_LABEL}${user}`];
		// A group that is called like a user would be let in as one.
		const named = groups.filter((group) => !group.startsWith(USER_LABEL) && group !== everyone);
		all.push({ field: readersField, is: 'any_label', values: [everyone, ...named, ...own] });
	}
	return { all };
}
