import { ERRORS, type PlimsollError } from '../spec/errors.ts';
import type { Problem } from '../spec/problem.ts';
import { formatProblem } from '../spec/problem.ts';
import { plain, type Terminal } from './terminal.ts';

/** Says what went wrong and what to do: for people on stderr, with --json as one document on stdout. */
export function reportError(error: PlimsollError, terminal: Terminal): void {
	if (terminal.json) {
		terminal.record(errorRecord(error));
		return;
	}
	if (error.category === 'cancelled') {
		terminal.note('Interrupted.');
		return;
	}
	if (error.problems.length > 0) {
		reportProblems(error.problems, terminal);
		return;
	}
	terminal.note(`${terminal.paintNote('red', 'plimsoll:')} ${plain(error.message)} (${error.code})`);
	if (error.internal !== null && error.category === 'internal') terminal.note(plain(error.internal));
	const { remedy } = ERRORS[error.code];
	if (!error.message.includes(remedy)) terminal.note(`  ${terminal.paintNote('dim', remedy)}`);
}

export function errorRecord(error: PlimsollError) {
	const { code, message, param, problems } = error;
	return { error: { code, message, param, ...(problems.length > 0 ? { problems } : {}) } };
}

/** Every problem in the form that editors and terminals can jump to, in the order of the files. */
export function reportProblems(problems: readonly Problem[], terminal: Terminal): void {
	const files = new Set(problems.map(({ file }) => file));
	const all = problems.length === 1 ? '1 problem' : `${problems.length} problems`;
	terminal.note(
		`${terminal.paintNote('red', 'plimsoll:')} ${all} in ${files.size === 1 ? '1 file' : `${files.size} files`}`,
	);
	for (const problem of problems) terminal.note(plain(formatProblem(problem)));
}
