import { resolve } from 'node:path';
import { isMapping, valueAt } from '../contracts/schema-node.ts';
import { accepted, readSourceFile, refused, type SourceFile } from '../contracts/source-file.ts';
import { problemAt, tidy, validate } from '../contracts/validation.ts';
import { type FieldPath, parseYaml, type YamlDocument } from '../contracts/yaml-document.ts';
import type { Checked, Problem } from '../spec/problem.ts';
import { delayProblem } from './delay.ts';
import { type RawScript, scriptJsonSchema, scriptSchema } from './script-schema.ts';

/** What applies without a script: everything healthy, at once. */
export const NO_SCRIPT: RawScript = scriptSchema.parse({});

/** Reads a script. Never throws: whatever is wrong comes back as problems with their places. */
export async function readScript(path: string): Promise<Checked<RawScript>> {
	const source = await readSourceFile(resolve(path), path);
	return source.ok ? parseScript(source.value) : source;
}

/** The script in a text. */
export function parseScript(source: Pick<SourceFile, 'file' | 'text'>): Checked<RawScript> {
	const document = parseYaml(source);
	// A script of comments alone says that all is well.
	if (document.readable === false && document.problems.every(({ message }) => message === 'is empty')) {
		return accepted(NO_SCRIPT);
	}
	if (!document.readable) return refused(...tidy(document.problems));
	const subject = { document, tree: document.value, sourceOf: () => null };
	const { value, problems } = validate({ zod: scriptSchema, json: scriptJsonSchema }, subject);
	const all = tidy([...document.problems, ...problems, ...contradictions(document)]);
	return value === null || all.length > 0 ? refused(...all) : accepted(value);
}

const DELAYS = ['latency', 'first_token', 'gap'];

/** What a schema cannot say: keys that need or exclude each other. */
function contradictions(document: YamlDocument): Problem[] {
	const rules = valueAt(document.value, ['rules']);
	const names = isMapping(rules) ? Object.keys(rules) : [];
	const places: FieldPath[] = [[], ...names.map((name) => ['rules', name])];
	return [
		...places.flatMap((path) => DELAYS.flatMap((key) => delayProblems(document, [...path, key]))),
		...names.flatMap((name) => whenProblems(document, ['rules', name, 'when'])),
	];
}

function delayProblems(document: YamlDocument, path: FieldPath): Problem[] {
	const raw = valueAt(document.value, path);
	const message = isMapping(raw) ? delayProblem(raw) : null;
	return message === null ? [] : [problemAt(document, path, { message })];
}

function whenProblems(document: YamlDocument, path: FieldPath): Problem[] {
	const number = (key: string) => {
		const value = valueAt(document.value, [...path, key]);
		return typeof value === 'number' ? value : null;
	};
	const pairs = [
		{ from: 'from_s', until: 'until_s', every: 'every_s', isInclusive: false },
		{ from: 'from_request', until: 'until_request', every: 'every_requests', isInclusive: true },
	];
	return pairs.flatMap(({ from, until, every, isInclusive }) => {
		const [first, last, period] = [number(from), number(until), number(every)];
		const problem = (key: string, message: string) => problemAt(document, [...path, key], { message });
		if (last !== null && first !== null && (isInclusive ? last < first : last <= first)) {
			return [problem(until, `${until} (${last}) is not after ${from} (${first}): the rule never holds`)];
		}
		const isPast = first !== null && period !== null && (isInclusive ? first > period : first >= period);
		return isPast ? [problem(from, `${from} (${first}) is beyond ${every} (${period}): the rule never holds`)] : [];
	});
}
