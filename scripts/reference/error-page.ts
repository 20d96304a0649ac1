import { ERRORS } from '../../src/spec/errors.ts';
import { cell, GENERATED } from './page.ts';

/** docs/reference/errors.md: every code that can leave Plimsoll. */
export function errorPage(): string {
	const lines = [
		'# Errors',
		'',
		GENERATED,
		'',
		'Every error that leaves Plimsoll carries one of these codes, over HTTP as `error.code` and in traces as `error_code`.',
		'Codes are stable: a program may rely on them, and never on the text of a message. *Retryable* means that the same',
		'request may succeed later without a change.',
		'',
		'| code | kind | retryable |',
		'|---|---|---|',
	];
	const entries = Object.entries(ERRORS);
	for (const [code, { category, retryable }] of entries) {
		lines.push(`| [\`${code}\`](#${code}) | ${category.replaceAll('_', ' ')} | ${retryable ? 'yes' : 'no'} |`);
	}
	for (const [code, { meaning, remedy, retryable }] of entries) {
		lines.push('', `## ${code}`, '', cell(meaning), '', `**What to do.** ${cell(remedy)}`);
		if (retryable) lines.push('', 'The same request may succeed later.');
	}
	return `${lines.join('\n')}\n`;
}
