import { compilePrompts, type PromptLibrary } from '../../src/prompts/library.ts';
import { formatProblem } from '../../src/spec/problem.ts';
import type { Prompt } from '../../src/spec/prompt.ts';
import type { Passage } from '../../src/spec/retrieval.ts';

export function promptFile(template: string, head = '', version = '1.0.0'): string {
	return `---
plimsoll.version: ${version}
plimsoll.owner: docs team
plimsoll.changelog:
  ${version}: what changed
${head}---
${template}`;
}

export function library(files: Readonly<Record<string, string>>): PromptLibrary {
	const checked = compilePrompts(new Map(Object.entries(files)));
	if (!checked.ok) throw new Error(checked.problems.map(formatProblem).join('\n'));
	return checked.value;
}

/** The problems of some files, each as the line that users see. */
export function problemsOf(files: Readonly<Record<string, string>>): readonly string[] {
	return compilePrompts(new Map(Object.entries(files))).problems.map(formatProblem);
}

export function prompt(template: string, head = '', partials: Readonly<Record<string, string>> = {}): Prompt {
	const found = library({ 'prompts/answer.prompt': promptFile(template, head), ...partials }).get('answer', null);
	if (!found) throw new Error('the library has no prompt named answer');
	return found;
}

export function passage(number: number, text = `Text of passage ${number}.`): Passage {
	return {
		chunkId: `chunk-${number}`,
		documentId: `document-${number}`,
		source: 'manual',
		title: `Title ${number}`,
		headingPath: ['Budgets', 'Tokens'],
		text,
		start: 0,
		end: text.length,
		ordinal: number - 1,
		tokens: 1,
		fields: {},
	};
}
