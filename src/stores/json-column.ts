import { z } from 'zod';

/** A JSON column: text that must parse, and whose value must satisfy `schema`. */
export function json<T extends z.ZodType>(schema: T) {
	const parsed = z.string().transform((text, context) => {
		try {
			return JSON.parse(text) as unknown;
		} catch {
			context.addIssue({ code: 'custom', message: 'not JSON' });
			return z.NEVER;
		}
	});
	return parsed.pipe(schema);
}
