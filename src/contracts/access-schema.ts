import * as z from 'zod';
import { text } from './fields.ts';

export const fieldName = z
	.string()
	.regex(/^[a-z][a-z0-9_]{0,63}$/)
	.meta({ 'x-expected': 'the name of a field, such as product' });

/** Who may find what of a collection. */
export const access = z
	.strictObject({
		tenant_field: fieldName
			.meta({ description: 'The field that says whose a document is; null: of every tenant.', examples: ['tenant'] })
			.nullable()
			.default(null),
		shared_tenant: text(1, 200, {
			description: 'The value of `tenant_field` in documents that every tenant may find; null: there are none.',
			examples: ['shared'],
		})
			.nullable()
			.default(null),
		acl_field: fieldName
			.meta({
				description:
					'The field of labels that says who may read a document: names of groups, and `user:` with a user; null: whoever may search.',
				examples: ['readers'],
			})
			.nullable()
			.default(null),
		everyone: text(1, 200, { description: 'The label in `acl_field` that lets everyone read.' }).default('everyone'),
	})
	.refine((one) => one.tenant_field !== null || one.acl_field !== null, 'restricts nothing')
	.nullable()
	.default(null)
	.meta({
		description:
			'Who may find what, by what is proved of the caller: enforced inside every query, whatever a client filters by. A document without the field is found by nobody. Null: everyone finds everything.',
		'x-expected': 'a mapping with tenant_field, acl_field, or both',
	});

/** See `access` of a collection. */
export interface PassageAccess {
	readonly tenantField: string | null;
	readonly sharedTenant: string | null;
	readonly readersField: string | null;
	readonly everyone: string;
}

export function accessOf(raw: z.output<typeof access>): PassageAccess | null {
	return (
		raw && {
			tenantField: raw.tenant_field,
			sharedTenant: raw.shared_tenant,
			readersField: raw.acl_field,
			everyone: raw.everyone,
		}
	);
}
