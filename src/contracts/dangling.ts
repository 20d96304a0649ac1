import { nearest } from '../base/nearest.ts';

/** The words for a name that nothing has. */
export function dangling(kind: string, name: string, known: readonly string[]) {
	const close = nearest(name, known);
	const expected = known.length > 0 ? `one of ${known.join(', ')}` : `one that the project has, and it has no ${kind}`;
	return { message: `there is no ${kind} ${name}`, expected, hint: close ? `did you mean ${close}?` : null };
}
