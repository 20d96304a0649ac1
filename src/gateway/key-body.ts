import { z } from 'zod';
import { SCOPES } from '../spec/records.ts';

const DAY_MS = 86_400_000;

/** Two months: whoever has not changed over by then never will. */
const OVERLAP_MS_MAX = 60 * DAY_MS;

const expiry = z.iso.datetime({ offset: true, error: 'expires_at must be an instant such as 2027-01-31T00:00:00Z' });

/** `POST /admin/keys`. */
export const KeyBody = z
	.strictObject({
		name: z.string().min(1).max(100),
		tenant: z
			.string()
			.regex(/^[a-z0-9][a-z0-9._-]{0,62}$/, 'expected lower-case letters, digits, dots, dashes and underscores')
			.default('default'),
		scopes: z.array(z.enum(SCOPES)).min(1),
		features: z
			.array(z.string().regex(/^[a-z][a-z0-9-]{0,63}$/, 'features must be names of features'))
			.min(1, 'features names none; leave it out to allow all')
			.max(200)
			.nullish(),
		expires_at: expiry.nullish(),
	})
	.refine(({ scopes, features }) => !features || !scopes.includes('admin'), {
		path: ['features'],
		error: 'a key with the scope admin can make any key, so that a list of features would not hold it',
	});

/** `POST /admin/keys/{key}/rotate`. */
export const RotateBody = z.strictObject({
	overlap_ms: z.int().min(0).max(OVERLAP_MS_MAX).default(DAY_MS),
	expires_at: expiry.nullish(),
});
