/** One thing wrong in a user's files: where it is, what was found, what was expected and what to do. */
export interface Problem {
	/** Path as the user would type it, relative to the project folder where possible. */
	readonly file: string;
	/** 1-based; null when the problem is the file itself (missing, unreadable). */
	readonly line: number | null;
	/** 1-based. */
	readonly column: number | null;
	/** Dotted path of the field, such as `budget.tokens_in_max`; null for the whole file. */
	readonly field: string | null;
	/** What is wrong, one sentence without a full stop. */
	readonly message: string;
	/** What would be right, e.g. `an integer of at least 1`; null when the message says it all. */
	readonly expected: string | null;
	/** What to do, e.g. `did you mean tokens_in_max?`; null when there is nothing to add. */
	readonly hint: string | null;
}

/** A value, or what is wrong with its source. Never both empty. */
export type Checked<T> =
	| { readonly ok: true; readonly value: T; readonly problems: readonly [] }
	| { readonly ok: false; readonly value: null; readonly problems: readonly Problem[] };

/** `file:line:column: field: message (expected …; hint)`: the form that editors and terminals can jump to. */
export function formatProblem(problem: Problem): string {
	const { file, line, column, field, message, expected, hint } = problem;
	const place = line === null ? file : `${file}:${line}:${column ?? 1}`;
	const extra = [expected && `expected ${expected}`, hint].filter(Boolean).join('; ');
	return `${place}: ${field ? `${field}: ` : ''}${message}${extra ? ` (${extra})` : ''}`;
}
